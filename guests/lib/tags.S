// SPDX-License-Identifier: Apache-2.0
// Allocation tags, for guests that have them (guest/tags.hpp).
    .arch   armv8.5-a+memtag
    .text

// u64 guest_tag_at(u64 address)
    .global guest_tag_at
guest_tag_at:
    ldg     x0, [x0]
    ubfx    x0, x0, #56, #4
    ret

// u64 guest_tags_of(u64 address, u64 bytes): all tags of the range, ORed. Clobbers x2, x3.
    .global guest_tags_of
guest_tags_of:
    add     x1, x0, x1
    mov     x2, #0
1:  mov     x3, x0
    ldg     x3, [x0]
    orr     x2, x2, x3, lsr #56
    add     x0, x0, #16
    cmp     x0, x1
    b.lo    1b
    and     x0, x2, #15
    ret

// void guest_set_tag(u64 address): the tag is the address's own.
    .global guest_set_tag
guest_set_tag:
    stg     x0, [x0]
    ret

// void guest_set_tags(u64 address, u64 bytes): of the whole range.
    .global guest_set_tags
guest_set_tags:
    add     x1, x0, x1
1:  st2g    x0, [x0], #32
    cmp     x0, x1
    b.lo    1b
    ret
