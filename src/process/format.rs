//! Telling a file that the kernel cannot run, before it is tried.
//!
//! `execvp` of glibc, which the standard library uses, hands a file that the kernel refuses with
//! ENOEXEC to `/bin/sh`. A program for another machine then fails as a shell script with a syntax
//! error, or a truncated one does nothing with success, in place of an error to the parent.

use std::io;
use std::path::Path;

/// Fails with ENOEXEC where the kernel would refuse `program` for its format. Whatever else is
/// wrong with it is left to exec to find.
#[cfg(target_os = "linux")]
pub(super) fn check_format(program: &Path) -> io::Result<()> {
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    let executable = |file: &fs::Metadata| file.is_file() && file.permissions().mode() & 0o111 != 0;
    let searched = !super::program::is_path(program);
    if searched || !fs::metadata(program).is_ok_and(|file| executable(&file)) {
        return Ok(());
    }
    let mut head = Vec::new();
    let read = File::open(program).and_then(|file| file.take(20).read_to_end(&mut head));
    if read.is_err() || is_known(&head) || has_handlers() {
        return Ok(());
    }
    Err(rustix::io::Errno::NOEXEC.into())
}

/// Elsewhere nothing is looked at.
#[cfg(not(target_os = "linux"))]
pub(super) fn check_format(_program: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether somebody registered further formats with the kernel (`binfmt_misc`), such as those
/// of an emulator.
#[cfg(target_os = "linux")]
fn has_handlers() -> bool {
    std::fs::read_dir("/proc/sys/fs/binfmt_misc").is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name() != "register" && entry.file_name() != "status")
    })
}

/// Whether a file that begins like this is one that the kernel runs: a script with `#!`, or an
/// ELF file for this machine (its `e_machine` field, from `elf.h`).
#[cfg(target_os = "linux")]
fn is_known(head: &[u8]) -> bool {
    let machine = match head {
        [b'#', b'!', ..] => return true,
        [0x7f, b'E', b'L', b'F', _, order, .., low, high] if head.len() == 20 => match order {
            2 => u16::from_be_bytes([*low, *high]),
            _ => u16::from_le_bytes([*low, *high]),
        },
        _ => return false,
    };
    // Each with its 32-bit or 64-bit sibling, which most kernels run too.
    match std::env::consts::ARCH {
        "x86" | "x86_64" => matches!(machine, 3 | 62),
        "arm" | "aarch64" => matches!(machine, 40 | 183),
        "riscv32" | "riscv64" => machine == 243,
        _ => true,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn our_own_program_and_scripts_are_known() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(is_known(&own[..20]));
        assert!(is_known(b"#!/bin/sh\n"));
    }

    #[test]
    fn foreign_truncated_and_empty_files_are_not() {
        let mut foreign = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        foreign.truncate(20);
        assert!(!is_known(&foreign[..12]));
        foreign[18] = 0xf7; // eBPF, which no machine is.
        foreign[19] = 0;
        assert!(!is_known(&foreign));
        assert!(!is_known(b""));
        assert!(!is_known(b"echo hi\n"));
    }
}
