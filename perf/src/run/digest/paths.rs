//! The files under the given paths, named as `find` names them and sorted by bytes.

use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

/// What `find ROOT... -type f | LC_ALL=C sort` prints. Symbolic links are not followed, what is
/// named twice is listed twice. What cannot be looked at goes to `unread`; the walk ends early
/// once `enough` says so.
pub(super) fn files(
    roots: &[OsString],
    unread: impl Fn(&OsStr, &io::Error),
    enough: impl Fn() -> bool,
) -> Vec<PathBuf> {
    let mut found = Found::default();
    for root in roots {
        match fs::symlink_metadata(root) {
            Ok(metadata) => found.add(PathBuf::from(root), metadata.file_type()),
            Err(error) => unread(root, &error),
        }
    }
    while !enough()
        && let Some(directory) = found.directories.pop()
    {
        if let Err(error) = found.list(&directory) {
            unread(directory.as_os_str(), &error);
        }
    }
    // Not `Ord for Path`, which compares component by component.
    found
        .files
        .sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    found.files
}

#[derive(Default)]
struct Found {
    files: Vec<PathBuf>,
    /// Still to be listed.
    directories: Vec<PathBuf>,
}

impl Found {
    fn add(&mut self, path: PathBuf, kind: FileType) {
        if kind.is_dir() {
            self.directories.push(path);
        } else if kind.is_file() {
            self.files.push(path);
        }
    }

    fn list(&mut self, directory: &Path) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // Joined byte by byte: `a/` gives `a/b`, `a//` gives `a//b`, `.` gives `./b`.
            self.add(entry.path(), entry.file_type()?);
        }
        Ok(())
    }
}
