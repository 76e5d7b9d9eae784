//! The file of a listening unix socket: ours to remove, and only ours.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Removes a socket's file when it is dropped, unless another file has its path by then.
///
/// Drop it before the listener is closed: as long as the socket listens, no other process takes
/// it for a leftover and replaces it.
#[derive(Debug)]
pub struct SocketFile {
    /// Absolute, so that it means the same after a change of the working directory.
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Keeps the inode's number from being given to another file.
    _inode: Option<OwnedFd>,
}

impl SocketFile {
    /// Takes over the file at `path`, which was just bound.
    pub(super) fn claim(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let inode = hold(&path);
        let file = fs::symlink_metadata(&path)?;
        Ok(Self {
            device: file.dev(),
            inode: file.ino(),
            _inode: inode,
            path,
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|file| (file.dev(), file.ino()) == (self.device, self.inode))
    }
}

#[cfg(target_os = "linux")]
fn hold(path: &Path) -> Option<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).ok()
}

/// Elsewhere a socket's file cannot be opened; it is told by its numbers alone.
#[cfg(not(target_os = "linux"))]
fn hold(_path: &Path) -> Option<OwnedFd> {
    None
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.is_ours() {
            tracing::debug!(path = %self.path.display(), "the socket's file is no longer ours");
        } else if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket's file");
        }
    }
}
