//! The work: read a file and hash it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ringmill::Token;
use sha2::{Digest, Sha256};

/// Bytes read at a time. From 32 KiB to 1 MiB every size took the same time on a file in the page
/// cache (1.7 GiB/s): small, then.
const BLOCK: usize = 128 * 1024;

/// A file to be hashed.
pub(super) struct Job {
    /// Its place among all files.
    index: usize,
    path: PathBuf,
}

impl From<(usize, PathBuf)> for Job {
    fn from((index, path): (usize, PathBuf)) -> Self {
        Self { index, path }
    }
}

/// A file and what became of it. An error is a result like another, so that the order is kept.
pub(super) struct Digested {
    pub(super) index: usize,
    pub(super) path: PathBuf,
    /// None if the run was stopped in the middle of the file.
    pub(super) sum: io::Result<Option<Sum>>,
}

/// A SHA-256 and the number of bytes under it.
pub(super) struct Sum {
    pub(super) hash: [u8; 32],
    pub(super) bytes: u64,
}

/// One instance of the stage.
pub(super) struct Hasher {
    token: Token,
    block: Vec<u8>,
}

impl Hasher {
    pub(super) fn new(token: Token) -> Self {
        let block = vec![0; BLOCK];
        Self { token, block }
    }

    pub(super) fn digest(&mut self, job: Job) -> Digested {
        let Job { index, path } = job;
        let sum = self.sum(&path);
        Digested { index, path, sum }
    }

    fn sum(&mut self, path: &Path) -> io::Result<Option<Sum>> {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut bytes = 0;
        while !self.token.is_stopped() {
            match file.read(&mut self.block) {
                Ok(0) => {
                    let hash = hash.finalize().into();
                    return Ok(Some(Sum { hash, bytes }));
                }
                Ok(length) => {
                    hash.update(&self.block[..length]);
                    bytes += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
