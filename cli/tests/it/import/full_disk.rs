//! A full disk: the import says so, nothing of it is visible, and it is finished when there is room.

use super::bad_input::skipped;
use super::vpc_log::{self, HEALTHY, Mix, assert_each_once};
use super::{ask, import};
use crate::program::Program;
use std::path::PathBuf;
use std::process::Command;

/// A file system of a few kilobytes, which ends with the test.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// None where the tests may not mount.
    fn mount(folder: PathBuf, kilobytes: u32) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let size = format!("size={kilobytes}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self { folder })
    }

    fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.folder).status().unwrap();
        assert!(grown.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A mount that cannot be taken back goes with the machine.
        Command::new("umount").arg("--lazy").arg(&self.folder).status().ok();
    }
}

#[test]
fn a_full_disk_is_told_and_the_import_finished_later() {
    let program = Program::new();
    // So many rejects that they need room too; several days, so that there are several data files.
    let expected = vpc_log::write_folder(&program.folder().join("logs"), 2, 30_000, Mix { reject_every: 5, ..HEALTHY });
    let (mut failed, mut finished) = (0, 0);
    for kilobytes in [4, 16, 32, 48, 64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 768, 1024, 2048] {
        let Some(disk) = SmallDisk::mount(program.folder().join("disk"), kilobytes) else {
            skipped("a small disk cannot be mounted: that takes root");
            return;
        };
        let full = program.run(&["import", "--lake", "disk/lake", "logs"]);
        assert!(!full.err.contains("panicked"), "{kilobytes} kB: {}", full.err);
        if full.code == 0 {
            finished += 1;
        } else {
            failed += 1;
            assert_eq!((full.code, full.out.as_str()), (1, ""), "{kilobytes} kB: {}", full.err);
            assert!(full.err.contains("No space left on device"), "{kilobytes} kB: {}", full.err);
        }
        disk.grow();
        if full.code != 0 {
            let seen = program.run(&["sql", "--lake", "disk/lake", "-o", "csv", "SELECT count(*) AS n FROM flows"]);
            let is_no_lake = seen.code == 1 && seen.err.contains("disk/lake is not a lake");
            assert!(is_no_lake || seen.out == "n\n0\n", "{kilobytes} kB: {}{}", seen.out, seen.err);
        }
        let again = import(&program, &["--lake", "disk/lake", "logs"], 0);
        assert_eq!(again.number("flows") == 0, full.code == 0, "{kilobytes} kB: {}", again.summary);
        // The checks ask the lake of the working folder.
        let link = program.folder().join("lake");
        std::os::unix::fs::symlink(disk.folder.join("lake"), &link).unwrap();
        assert_each_once(&program, &expected);
        assert_eq!(ask(&program, "SELECT count(*) AS n FROM findings")[0]["n"], 0);
        std::fs::remove_file(link).unwrap();
    }
    assert!(failed >= 8 && finished >= 1, "{failed} imports failed, {finished} were finished");
}
