//! The disk of the outbox is full: nothing is lost, nothing is delivered twice, and it goes on by itself.

use crate::world;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, which ends with the test.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        world::skipped("the right to mount a file system");
        None
    }

    /// Takes so much of it away.
    fn fill(&self, bytes: usize) {
        std::fs::write(self.0.join("other"), vec![1; bytes]).ok();
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("other")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a test that failed may still have files open.
        Command::new("umount").arg("--lazy").arg(&self.0).output().ok();
    }
}

fn settings(folder: &Path) -> String {
    format!("[[sink]]\nname = 'lines'\ntype = 'file'\npath = '{}'\nformat = 'json'\n", folder.join("lines").display())
}

fn told(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("lines")).unwrap_or_default();
    text.lines()
        .map(|line| {
            let alert: serde_json::Value = serde_json::from_str(line).unwrap();
            let alert = &alert["alert"];
            format!("{} {}", alert["incident"]["incident_id"].as_str().unwrap(), alert["action"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_holds_the_intake_up_and_loses_nothing() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(disk) = Disk::mount(folder.path(), 48) else { return };
    let mut notifier = world::start(&world::settings(&settings(elsewhere.path())), folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    assert_eq!(notifier.obstacle(), None);
    disk.fill(24 << 20);
    let obstacle = notifier.obstacle().unwrap();
    assert!(obstacle.contains("full") && obstacle.contains("free some space"), "{obstacle}");
    let finding = world::told(world::finding("two-finding"));
    let incident = world::of(world::incident("two", &["two-finding"], tradewind_model::IncidentState::Open));
    let refused = notifier.take(vec![finding, incident], None).await.unwrap_err();
    assert!(refused.to_string().contains("full"), "{refused}");
    notifier.tick(Vec::new()).await.unwrap();
    disk.free();
    assert_eq!(notifier.obstacle(), None);
    world::open(&notifier, "two").await;
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    assert_eq!(told(elsewhere.path()), ["one open", "two open", "one resolve"]);
}

/// Another program may take the last byte at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_finds_no_room_at_all_is_whole_afterwards() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(disk) = Disk::mount(folder.path(), 40) else { return };
    let settings = world::settings(&settings(elsewhere.path()));
    let mut notifier = world::start(&settings, folder.path()).unwrap();
    world::open(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    disk.fill(64 << 20);
    // There is nothing left, and so nothing is tried; a process that is started anew may not even begin.
    assert!(notifier.obstacle().is_some());
    notifier.tick(Vec::new()).await.unwrap();
    notifier.stop().await.unwrap();
    let begun = world::start(&settings, folder.path());
    drop(begun);
    disk.free();
    let mut notifier = world::start(&settings, folder.path()).unwrap();
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    assert_eq!(told(elsewhere.path()), ["one open", "one resolve"]);
}
