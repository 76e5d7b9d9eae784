//! The users whose sockets this process connects to.
//!
//! Knows owners and permissions of files, and the credentials of a peer; nothing of addresses.
//!
//! A client tells its peer what it is about to do, and believes its answers. So nobody but its own user
//! and root may have put the socket there, unless the caller trusts others: neither the socket nor a
//! link on the way to it may be another user's, nor a directory on the way, and where anyone may write
//! to a directory, it must have the sticky bit, as `/tmp` does.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::peer::Peer;

/// The most links that the way to a socket may have, as on Linux.
const MAX_LINKS: usize = 40;
/// The permission of everybody to write.
const ANYONE_WRITES: u32 = 0o002;
/// The permission to remove a directory's files that only their owners have then.
const STICKY: u32 = 0o1000;

/// The users who may serve: this process's own, root, and those that are added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    uids: Vec<u32>,
}

impl Trust {
    /// Trusts this process's user and root alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts this user as well.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uids.push(uid);
        self
    }

    fn includes(&self, uid: u32) -> bool {
        uid == 0 || uid == rustix::process::geteuid().as_raw() || self.uids.contains(&uid)
    }

    /// Checks the way to a socket. What is not there, or cannot be looked at, is left to the attempt to
    /// connect.
    ///
    /// # Errors
    /// Returns the reason when somebody else may have put it there.
    pub(super) fn check_path(&self, path: &Path) -> Result<(), String> {
        let Ok(path) = std::path::absolute(path) else {
            return Ok(());
        };
        let mut left = names(&path);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(name);
            let Ok(found) = fs::symlink_metadata(&next) else {
                return Ok(());
            };
            if !self.includes(found.uid()) {
                return Err(format!(
                    "{} belongs to user {}, who is neither this user nor root",
                    next.display(),
                    found.uid()
                ));
            }
            if found.is_dir() && found.mode() & (ANYONE_WRITES | STICKY) == ANYONE_WRITES {
                return Err(format!(
                    "anyone may put a socket there, since everybody may write to {}",
                    next.display()
                ));
            }
            if !found.is_symlink() {
                at = next;
                continue;
            }
            let Ok(target) = fs::read_link(&next) else {
                return Ok(());
            };
            links += 1;
            if links > MAX_LINKS {
                return Ok(());
            }
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            let mut first = names(&target);
            first.append(&mut left);
            left = first;
        }
        Ok(())
    }

    /// Checks who serves at the other end of a stream, where the system tells.
    ///
    /// # Errors
    /// Returns the reason when it is another user.
    pub(super) fn check_peer(&self, peer: &Peer) -> Result<(), String> {
        match peer.credentials() {
            Some(credentials) if !self.includes(credentials.uid) => Err(format!(
                "{peer} listens there, who is neither this user nor root"
            )),
            _ => Ok(()),
        }
    }
}

/// Returns the names on a path, without those that lead nowhere.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::super::stream::Stream;
    use super::*;
    use crate::peer::Credentials;

    /// A user that no test runs as.
    const OTHER: u32 = 54_321;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_where_nobody_else_could_have_put_it() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("node.sock");
        let trust = Trust::new();
        assert_eq!(trust.check_path(&socket), Ok(()), "there is nothing");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(trust.check_path(&socket), Ok(()));

        set_mode(directory.path(), 0o777);
        let reason = trust.check_path(&socket).unwrap_err();
        let expected = format!(
            "anyone may put a socket there, since everybody may write to {}",
            directory.path().display()
        );
        assert_eq!(reason, expected);
        // As in `/tmp`, only the owner may replace it.
        set_mode(directory.path(), 0o1777);
        assert_eq!(trust.check_path(&socket), Ok(()));
        set_mode(directory.path(), 0o755);

        // The way through a link is looked at as well, and ends where the link leads.
        let open = directory.path().join("open");
        fs::create_dir(&open).unwrap();
        set_mode(&open, 0o777);
        let there = open.join("there");
        symlink("../node.sock", &there).unwrap();
        assert!(trust.check_path(&there).is_err());
        let link = directory.path().join("link");
        symlink(&socket, &link).unwrap();
        assert_eq!(trust.check_path(&link), Ok(()));
        let outer = directory.path().join("outer");
        symlink("open/there", &outer).unwrap();
        assert!(trust.check_path(&outer).is_err());
        let circle = directory.path().join("circle");
        symlink(&circle, &circle).unwrap();
        assert_eq!(
            trust.check_path(&circle),
            Ok(()),
            "nothing can connect to it"
        );
    }

    #[test]
    fn what_belongs_to_another_user_is_refused_unless_that_is_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("node.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        let link = directory.path().join("link");
        symlink(&socket, &link).unwrap();
        // Only root can give a file away.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let trust = Trust::new();
        std::os::unix::fs::lchown(&link, Some(OTHER), None).unwrap();
        let reason = trust.check_path(&link).unwrap_err();
        assert!(reason.contains("link belongs to user 54321"), "{reason}");
        assert_eq!(trust.check_path(&socket), Ok(()));
        chown(&socket, Some(OTHER), None).unwrap();
        assert!(trust.check_path(&socket).is_err());
        assert_eq!(trust.clone().uid(OTHER).check_path(&link), Ok(()));
        chown(directory.path(), Some(OTHER + 1), None).unwrap();
        assert!(trust.uid(OTHER).check_path(&socket).is_err());
    }

    #[test]
    fn the_peer_of_a_stream_is_looked_at() {
        let (stream, _peer) = UnixStream::pair().unwrap();
        assert_eq!(Trust::new().check_peer(&stream.peer()), Ok(()));
        let peer = Peer::Process(Credentials {
            pid: Some(7),
            uid: OTHER,
            gid: 0,
        });
        let reason = Trust::new().check_peer(&peer).unwrap_err();
        assert!(reason.starts_with("process 7 of user 54321"), "{reason}");
        assert_eq!(Trust::new().uid(OTHER).check_peer(&peer), Ok(()));
    }
}
