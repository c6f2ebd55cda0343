//! File systems of their own for tests: small ones, and ones that can be made read-only.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A file system in memory, which ends with the test.
pub(super) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Of so many megabytes, in a folder that is made; none where the tests may not mount.
    pub(super) fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let disk = Self { folder: folder.to_owned() };
        if mount(&["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"], folder) {
            return Some(disk);
        }
        tradewind_testkit::skipped("a file system cannot be mounted (this needs root)");
        None
    }

    /// Makes it larger.
    pub(super) fn grow(&self, megabytes: u32) {
        assert!(mount(&["-o", &format!("remount,size={megabytes}m")], &self.folder));
    }

    /// Refuses writes, or takes them again.
    pub(super) fn set_read_only(&self, is_read_only: bool) {
        let option = if is_read_only { "remount,ro" } else { "remount,rw" };
        // Somebody may be writing at the moment; soon nobody is.
        let done = (0..500).any(|_| {
            mount(&["-o", option], &self.folder) || {
                std::thread::sleep(Duration::from_millis(5));
                false
            }
        });
        assert!(done, "the disk stays busy");
    }
}

fn mount(arguments: &[&str], folder: &Path) -> bool {
    Command::new("mount").args(arguments).arg(folder).output().is_ok_and(|output| output.status.success())
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a test that failed may still have files open.
        Command::new("umount").arg("--lazy").arg(&self.folder).output().ok();
    }
}
