// SPDX-License-Identifier: Apache-2.0
#include "symbols.hpp"

#include <cxxabi.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>

#include "failure.hpp"

namespace arm_vcpu::scope {
namespace {

constexpr std::uint64_t kFarthest = 0x10'0000;  // a symbol without a size covers no more

// Compilers for A64 mark code and data with $x and $d; Linux adds markers of its own.
bool names_code(std::string_view name) {
  return !name.empty() && name[0] != '$' && !name.starts_with(".L");
}

struct ElfFile {
  int fd;
  Elf* elf{};
  explicit ElfFile(const std::string& path) : fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)} {
    if (fd < 0) throw system_failure(path, errno);
    ::elf_version(EV_CURRENT);
    elf = ::elf_begin(fd, ELF_C_READ_MMAP, nullptr);
  }
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;
  ~ElfFile() {
    ::elf_end(elf);
    ::close(fd);
  }
  [[nodiscard]] bool is_elf() const { return elf != nullptr && ::elf_kind(elf) == ELF_K_ELF; }
};

void read_symbols(Elf* elf, std::uint64_t offset, std::vector<Symbol>& out) {
  for (const GElf_Word wanted : {GElf_Word{SHT_SYMTAB}, GElf_Word{SHT_DYNSYM}}) {
    for (Elf_Scn* section = ::elf_nextscn(elf, nullptr); section != nullptr; section = ::elf_nextscn(elf, section)) {
      GElf_Shdr header;
      Elf_Data* data = ::elf_getdata(section, nullptr);
      if (::gelf_getshdr(section, &header) == nullptr || header.sh_type != wanted || data == nullptr) continue;
      if (header.sh_entsize == 0) continue;
      for (int i = 0; i < static_cast<int>(header.sh_size / header.sh_entsize); ++i) {
        GElf_Sym symbol;
        if (::gelf_getsym(data, i, &symbol) == nullptr || symbol.st_shndx == SHN_UNDEF) continue;
        const auto type = GELF_ST_TYPE(symbol.st_info);
        const char* name = ::elf_strptr(elf, header.sh_link, symbol.st_name);
        if ((type == STT_FUNC || type == STT_NOTYPE) && name != nullptr && names_code(name)) {
          out.push_back({symbol.st_value + offset, type == STT_FUNC ? symbol.st_size : 0, name});
        }
      }
    }
    if (!out.empty()) return;
  }
}

// "ffff800010080000 T _text" on each line.
void read_list(const std::string& path, std::uint64_t offset, std::vector<Symbol>& out) {
  std::ifstream file{path};
  std::string line;
  while (std::getline(file, line)) {
    std::uint64_t address{};
    const char* end = line.data() + line.size();
    const auto [at, error] = std::from_chars(line.data(), end, address, 16);
    if (error != std::errc{} || end - at < 4 || at[0] != ' ' || at[2] != ' ') continue;
    if (std::strchr("tTwW", at[1]) == nullptr) continue;
    const std::string_view name{at + 3, static_cast<std::size_t>(end - at - 3)};
    if (names_code(name)) out.push_back({address + offset, 0, std::string{name.substr(0, name.find_first_of("\t "))}});
  }
}

std::vector<std::uint8_t> build_id(Elf* elf) {
  for (Elf_Scn* section = ::elf_nextscn(elf, nullptr); section != nullptr; section = ::elf_nextscn(elf, section)) {
    GElf_Shdr header;
    Elf_Data* data = ::elf_getdata(section, nullptr);
    if (::gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_NOTE || data == nullptr) continue;
    GElf_Nhdr note;
    std::size_t name = 0;
    std::size_t content = 0;
    for (std::size_t at = 0; (at = ::gelf_getnote(data, at, &note, &name, &content)) != 0;) {
      const auto* bytes = static_cast<const std::uint8_t*>(data->d_buf);
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(bytes + name, "GNU", 4) == 0) {
        return {bytes + content, bytes + content + note.n_descsz};
      }
    }
  }
  return {};
}

std::uint64_t lowest_segment(Elf* elf) {
  std::size_t count = 0;
  std::uint64_t lowest = ~std::uint64_t{0};
  if (::elf_getphdrnum(elf, &count) != 0) return 0;
  for (int i = 0; i < static_cast<int>(count); ++i) {
    GElf_Phdr segment;
    if (::gelf_getphdr(elf, i, &segment) != nullptr && segment.p_type == PT_LOAD) {
      lowest = std::min<std::uint64_t>(lowest, segment.p_vaddr);
    }
  }
  return lowest == ~std::uint64_t{0} ? 0 : lowest;
}

std::string demangled(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text{::abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                                    std::free};
  if (status != 0) return name;
  // Parameters say nothing that the name's reader does not know, and fill the line.
  const std::string_view full{text.get()};
  return std::string{full.substr(0, full.find('('))};
}

}  // namespace

void Symbols::add(const std::string& file) {
  std::string path = file;
  std::uint64_t offset = 0;
  if (const auto at = file.rfind('@'); at != std::string::npos) {
    const std::string text = file.substr(at + 1);
    char* end = nullptr;
    const bool negative = text.starts_with('-');
    offset = std::strtoull(text.c_str() + (negative ? 1 : 0), &end, 0);
    if (text.empty() || *end != '\0') throw Failure(fmt::format("{}: the offset after @ is not a number", file));
    if (negative) offset = std::uint64_t{0} - offset;
    path = file.substr(0, at);
  }
  const std::size_t before = symbols_.size();
  const ElfFile elf{path};
  if (elf.is_elf()) {
    read_symbols(elf.elf, offset, symbols_);
  } else {
    read_list(path, offset, symbols_);
  }
  if (symbols_.size() == before) {
    throw Failure(fmt::format("{}: no symbols in it (an ELF that is not stripped, or a System.map, is wanted)", path));
  }
  sort();
}

void Symbols::add_hypervisor(const std::string& file, const trace::Header& header, std::string& complaint) {
  const ElfFile elf{file};
  if (!elf.is_elf()) throw Failure(fmt::format("{}: is not an ELF file", file));
  const auto id = build_id(elf.elf);
  const auto& recorded = header.build_id;
  const bool is_recorded = std::any_of(recorded.begin(), recorded.end(), [](auto b) { return b != 0; });
  if (is_recorded && !std::equal(id.begin(), id.end(), recorded.begin(), recorded.end())) {
    complaint = fmt::format("{}: its build ID is not that of the hypervisor which made the trace", file);
  }
  const std::uint64_t linked = lowest_segment(elf.elf);
  const std::size_t before = symbols_.size();
  read_symbols(elf.elf, header.image_base == 0 ? 0 : header.image_base - linked, symbols_);
  if (symbols_.size() == before) throw Failure(fmt::format("{}: no symbols in it", file));
  sort();
}

void Symbols::sort() {
  // At one address, the symbol with a size is the function; the others are labels.
  std::sort(symbols_.begin(), symbols_.end(), [](const Symbol& a, const Symbol& b) {
    return a.address != b.address ? a.address < b.address : a.bytes < b.bytes;
  });
}

std::string Symbols::look_up(std::uint64_t address) const {
  auto next = std::upper_bound(symbols_.begin(), symbols_.end(), address,
                               [](std::uint64_t value, const Symbol& s) { return value < s.address; });
  if (next == symbols_.begin()) return {};
  const Symbol& symbol = *--next;
  const std::uint64_t offset = address - symbol.address;
  if (offset >= (symbol.bytes != 0 ? symbol.bytes : kFarthest)) return {};
  return offset == 0 ? demangled(symbol.name) : fmt::format("{}+{:#x}", demangled(symbol.name), offset);
}

const std::string& Symbols::at(std::uint64_t address) const {
  return cache_.get(address, [&](std::string& name) { name = look_up(address); });
}

}  // namespace arm_vcpu::scope
