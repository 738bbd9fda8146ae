// SPDX-License-Identifier: Apache-2.0
// Draws the page's charts from the JSON that vcpuscope put beside this script. `echarts` is the library, also inlined.
'use strict';

const data = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);
const count = (n) => Math.round(n).toLocaleString('en');
const percent = (share) => (100 * share).toFixed(1) + '%';

function duration(ns) {
  for (const [scale, unit] of [[1e9, 's'], [1e6, 'ms'], [1e3, 'us']]) {
    if (ns >= scale) return (ns / scale).toPrecision(3) + ' ' + unit;
  }
  return Math.round(ns) + ' ns';
}

// A reason has one colour in every chart; the most frequent get the most distinct ones.
const palette = ['#3b7dd8', '#e07b39', '#2fa36b', '#c94f7c', '#8a63d2', '#b59a1f', '#22a5b8', '#d0504a', '#7a8794',
                 '#6f9e3f', '#b266b8', '#4f6bc0'];
const colours = new Map(data.reasons.map((reason, i) => [reason.name, palette[i % palette.length]]));

function element(tag, text, parent) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
}

function facts() {
  byId('title').textContent = data.file;
  document.title = data.file + ' - vcpuscope';
  const list = [['records', count(data.records)], ['exits', count(data.exits)], ['lost', count(data.lost)],
                ['CPUs', data.cpus], ['time', duration(data.span_ns)],
                ['exits per second', data.seconds > 0 ? count(data.exits / data.seconds) : '-']];
  for (const vcpu of data.vcpus) {
    list.push([vcpu.name, count(vcpu.exits) + ' exits, ' + percent(vcpu.hypervisor_share) + ' in the hypervisor, ' +
                          percent(vcpu.wait_share) + ' waiting']);
  }
  for (const [name, value] of list) {
    const pair = element('div', '', byId('facts'));
    element('dt', name, pair);
    element('dd', value, pair);
  }
  if (data.problems.length > 0) {
    byId('problems').hidden = false;
    byId('problems').textContent = data.problems.join('; ');
  }
}

function look() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {ink: colour('--ink'), faint: colour('--faint'), line: colour('--line'), panel: colour('--panel')};
}

function axis(theme, more) {
  return {axisLabel: {color: theme.faint}, nameTextStyle: {color: theme.faint}, axisLine: {lineStyle: {color: theme.line}},
          splitLine: {lineStyle: {color: theme.line, opacity: 0.5}}, ...more};
}

const tooltip = (theme, more) => ({backgroundColor: theme.panel, borderColor: theme.line, textStyle: {color: theme.ink},
                                   confine: true, ...more});
const legend = (theme, more) => ({type: 'scroll', textStyle: {color: theme.ink}, pageTextStyle: {color: theme.ink}, ...more});

function timeline(theme) {
  const height = 110;
  const binSeconds = data.span_ns / 1e9 / data.bins;
  const times = Array.from({length: data.bins}, (_, i) => ((i + 0.5) * binSeconds));
  const option = {animation: false, legend: legend(theme, {top: 0}), grid: [], xAxis: [], yAxis: [], series: [],
                  axisPointer: {link: [{xAxisIndex: 'all'}]}, title: [], dataZoom: [],
                  tooltip: tooltip(theme, {trigger: 'axis', valueFormatter: (v) => count(v) + '/s'})};
  data.timeline.forEach((vcpu, i) => {
    const top = 40 + i * (height + 34);
    option.title.push({text: vcpu.name, left: 8, top: top - 14, textStyle: {color: theme.ink, fontSize: 13}});
    option.grid.push({left: 70, right: 20, top: top + 6, height});
    option.xAxis.push(axis(theme, {type: 'value', gridIndex: i, min: 0, max: data.span_ns / 1e9,
                                   axisLabel: {color: theme.faint, show: i + 1 === data.timeline.length,
                                               formatter: (s) => duration(s * 1e9)}}));
    option.yAxis.push(axis(theme, {type: 'value', gridIndex: i, splitNumber: 2,
                                   axisLabel: {color: theme.faint, formatter: (v) => v >= 1000 ? v / 1000 + 'k' : v}}));
    for (const reason of data.reasons.map((r) => r.name)) {
      const bins = vcpu.reasons[reason];
      if (!bins) continue;
      option.series.push({name: reason, type: 'line', stack: 'vcpu' + i, step: 'middle', symbol: 'none', xAxisIndex: i,
                          yAxisIndex: i, lineStyle: {width: 0}, areaStyle: {opacity: 0.85}, color: colours.get(reason),
                          data: bins.map((n, b) => [times[b], n / binSeconds])});
    }
  });
  const all = data.timeline.map((_, i) => i);
  option.dataZoom.push({type: 'slider', xAxisIndex: all, bottom: 6, height: 22, textStyle: {color: theme.faint},
                        labelFormatter: (s) => duration(s * 1e9)},
                       {type: 'inside', xAxisIndex: all});
  return [option, 40 + data.timeline.length * (height + 34) + 60];
}

function reasons(theme) {
  const rows = [...data.reasons].reverse();
  const bar = (key) => rows.map((r) => ({value: r[key], itemStyle: {color: colours.get(r.name)}}));
  const option = {
    animation: false,
    tooltip: tooltip(theme, {trigger: 'item', formatter: (p) => {
      const r = rows[p.dataIndex];
      const cells = ['<b>' + echarts.format.encodeHTML(r.name) + '</b>', count(r.count) + ' exits, ' + percent(r.share),
                     r.waits ? 'waiting' : percent(r.time_share) + ' of the hypervisor\'s time', 'min ' + duration(r.min_ns),
                     'median ' + duration(r.median_ns), 'p99 ' + duration(r.p99_ns), 'max ' + duration(r.max_ns)];
      return cells.join('<br>');
    }}),
    title: [{text: 'exits', left: '30%', top: 0, textStyle: {color: theme.faint, fontSize: 13}},
            {text: 'time', left: '76%', top: 0, textStyle: {color: theme.faint, fontSize: 13}}],
    grid: [{left: 160, width: '42%', top: 26, bottom: 24}, {right: 60, width: '34%', top: 26, bottom: 24}],
    xAxis: [axis(theme, {type: 'value', gridIndex: 0}),
            axis(theme, {type: 'value', gridIndex: 1, axisLabel: {color: theme.faint, formatter: percent}})],
    yAxis: [axis(theme, {type: 'category', gridIndex: 0, data: rows.map((r) => r.name), axisLabel: {color: theme.ink}}),
            axis(theme, {type: 'category', gridIndex: 1, data: rows.map((r) => r.name), axisLabel: {show: false}})],
    series: [{type: 'bar', data: bar('count'), label: {show: true, position: 'right', color: theme.faint,
                                                       formatter: (p) => count(p.value)}},
             {type: 'bar', xAxisIndex: 1, yAxisIndex: 1, data: bar('time_share'),
              label: {show: true, position: 'right', color: theme.faint,
                      formatter: (p) => rows[p.dataIndex].waits ? 'waiting' : percent(p.value)}}],
  };
  return [option, 60 + 26 * rows.length];
}

function latency(theme) {
  const option = {
    animation: false, legend: legend(theme, {top: 0}),
    tooltip: tooltip(theme, {trigger: 'item',
                             formatter: (p) => echarts.format.encodeHTML(p.seriesName) + '<br>from ' + duration(p.value[0]) +
                                               ': ' + count(p.value[1]) + ' exits'}),
    grid: {left: 70, right: 20, top: 36, bottom: 40},
    xAxis: axis(theme, {type: 'log', logBase: 10, min: 'dataMin', axisLabel: {color: theme.faint, formatter: duration}}),
    yAxis: axis(theme, {type: 'log', logBase: 10, min: 1, name: 'exits'}),
    series: data.latency.map((r) => ({name: r.name, type: 'line', symbolSize: 4, color: colours.get(r.name), data: r.points})),
  };
  return [option, 380];
}

function heat(theme) {
  const {bins, registers, cells} = data.heat;
  const rows = registers.length;
  const most = Math.max(1, ...cells.map((c) => c[2]));
  const binNs = data.span_ns / bins;
  const option = {
    animation: false,
    tooltip: tooltip(theme, {formatter: (p) => echarts.format.encodeHTML(registers[rows - 1 - p.value[1]]) + '<br>' +
                                               duration(p.value[0] * binNs) + ': ' + count(p.value[2]) + ' accesses'}),
    grid: {left: 240, right: 20, top: 8, bottom: 76},
    xAxis: axis(theme, {type: 'category', data: Array.from({length: bins}, (_, i) => duration(i * binNs))}),
    yAxis: axis(theme, {type: 'category', data: [...registers].reverse(), axisLabel: {color: theme.ink, fontFamily: 'monospace'}}),
    visualMap: {min: 1, max: most, calculable: true, orient: 'horizontal', left: 'center', bottom: 4, itemHeight: 200,
                textStyle: {color: theme.faint}, inRange: {color: ['#35618f', '#3f9c8f', '#d8b13a', '#e2603a']},
                formatter: count},
    series: [{type: 'heatmap', data: cells.map(([x, y, n]) => [x, rows - 1 - y, n])}],
  };
  return [option, 110 + 20 * rows];
}

function table(title, rows, note) {
  if (rows.length === 0) return;
  const made = element('table', '', byId('tables'));
  element('caption', title, made);
  const head = element('tr', '', element('thead', '', made));
  for (const name of ['', 'exits', 'share', 'time', 'min', 'median', 'p99', 'max']) element('th', name, head);
  const body = element('tbody', '', made);
  for (const r of rows) {
    const row = element('tr', '', body);
    const cells = [note && r[note] ? r.name + ' ' + r[note] : r.name, count(r.count), percent(r.share),
                   r.waits ? 'waiting' : percent(r.time_share), duration(r.min_ns), duration(r.median_ns), duration(r.p99_ns),
                   duration(r.max_ns)];
    for (const cell of cells) element('td', cell, row);
  }
}

const charts = [['timeline', timeline], ['reasons', reasons], ['latency', latency], ['heat', heat]];
const drawn = new Map();

function draw() {
  const theme = look();
  for (const [id, make] of charts) {
    if (id === 'heat' && data.heat.registers.length === 0) {
      byId('heat-section').hidden = true;
      continue;
    }
    const [option, height] = make(theme);
    byId(id).style.height = height + 'px';
    if (!drawn.has(id)) drawn.set(id, echarts.init(byId(id)));
    drawn.get(id).resize();
    drawn.get(id).setOption(option, true);
  }
}

facts();
table('Exits by reason', data.reasons);
table('Device registers', data.devices, 'ipa');
table('System registers', data.system_registers);
table('Calls', data.calls);
table('Exits by PC', data.pcs, 'symbol');
draw();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
addEventListener('resize', () => drawn.forEach((chart) => chart.resize()));
document.body.dataset.charts = drawn.size;  // for a test: all is drawn
