//! Reads the head of a program's file: the processor, and whether the program needs a dynamic linker.
//!
//! The layout is that of elf(5), 64-bit and little-endian, which both processors of EC2 use.

use std::fmt;

/// Bytes of a file's beginning that are enough. Linkers put the program headers right behind the file's header.
pub const HEAD: u64 = 64 << 10;

const MAGIC: &[u8] = b"\x7fELF\x02\x01";
/// Offsets of `e_machine`, `e_phoff`, `e_phentsize` and `e_phnum` in the file's header.
const MACHINE: usize = 18;
const HEADERS_AT: usize = 32;
const HEADER_SIZE: usize = 54;
const HEADER_COUNT: usize = 56;
/// `PT_INTERP`: the type of a program header that names the dynamic linker.
const INTERPRETER: u32 = 3;

/// A processor, by its number in ELF files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine(u16);

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            62 => f.write_str("x86_64"),
            183 => f.write_str("aarch64 (arm64)"),
            other => write!(f, "processor {other}"),
        }
    }
}

/// A program, or a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The processor that the program is made for.
    pub machine: Machine,
    /// True if the program runs without a dynamic linker.
    pub is_static: bool,
}

/// Reads the beginning of a file. None if the file is not such an ELF file, or is broken off.
pub fn read(head: &[u8]) -> Option<Program> {
    let number = |at: usize, size: usize| {
        let bytes = head.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte)))
    };
    if !head.starts_with(MAGIC) {
        return None;
    }
    let machine = Machine(u16::try_from(number(MACHINE, 2)?).ok()?);
    let first = usize::try_from(number(HEADERS_AT, 8)?).ok()?;
    let size = usize::try_from(number(HEADER_SIZE, 2)?).ok()?;
    let count = usize::try_from(number(HEADER_COUNT, 2)?).ok()?;
    // A file that ends within its headers is broken off.
    head.get(..first.checked_add(count * size)?)?;
    let mut is_static = true;
    for index in 0..count {
        let kind = number(first + index * size, 4)?;
        is_static &= kind != u64::from(INTERPRETER);
    }
    Some(Program { machine, is_static })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_a_program_of_this_processor_and_what_is_broken_off_is_none() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let head = &own[..usize::try_from(HEAD).unwrap()];
        let program = read(head).unwrap();
        assert!(program.machine.to_string().starts_with(std::env::consts::ARCH), "{program:?}");
        for length in [0, 4, 18, 19, 60, 64, 100] {
            assert_eq!(read(&head[..length]), None, "{length}");
        }
        assert_eq!(read(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn a_header_that_makes_no_sense_is_none() {
        let mut head = vec![0; 64];
        head[..MAGIC.len()].copy_from_slice(MAGIC);
        head[HEADERS_AT..HEADERS_AT + 8].fill(0xff);
        head[HEADER_SIZE..HEADER_COUNT + 2].fill(0xff);
        assert_eq!(read(&head), None);
    }
}
