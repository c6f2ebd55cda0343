//! What is said of findings: it comes back as it was, in the order in which it was said, also into a lake that is older.

use super::{ask, lake};
use tradewind_model::{ControlAction, ControlOrigin, RecordedControl, Scope};
use tradewind_storage::Lake;

fn control(id: &str, recorded_time: i64) -> RecordedControl {
    RecordedControl {
        control_id: id.to_owned(),
        recorded_time,
        time: -5,
        action: ControlAction::Suppress,
        finding_id: None,
        name: Some("o'hare".to_owned()),
        scope: Scope { entity: Some("a/b".to_owned()), port: Some(65_535), ..Scope::default() },
        until: Some(9),
        author: "ann".to_owned(),
        reason: None,
        origin: ControlOrigin::File,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_comes_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path()).await;
    let accept = RecordedControl {
        action: ControlAction::Accept,
        finding_id: Some("f".to_owned()),
        name: None,
        scope: Scope::default(),
        until: None,
        reason: Some("why".to_owned()),
        origin: ControlOrigin::Command,
        ..control("a", 3)
    };
    let (first, second) = (control("b", 1), control("c", 2));
    lake.append_controls(std::slice::from_ref(&accept)).await.unwrap();
    lake.append_controls(&[second.clone(), first.clone()]).await.unwrap();
    let found = lake.controls().await.unwrap();
    assert_eq!(found.rows, [first, second, accept]);
    assert!(lake.controls_after(found.version).await.unwrap().is_none());
    lake.append_controls(&[control("d", 4)]).await.unwrap();
    let more = lake.controls_after(found.version).await.unwrap().unwrap();
    assert_eq!(more.rows.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_an_earlier_version_gets_the_table_when_something_is_said() {
    let folder = tempfile::tempdir().unwrap();
    lake(folder.path()).await;
    for table in ["controls", "incidents"] {
        std::fs::remove_dir_all(folder.path().join(table)).unwrap();
    }
    let lake = Lake::open(folder.path()).await.unwrap();
    assert_eq!(ask(&lake, "select count(*) from incidents").await, ["0"]);
    assert!(lake.controls().await.unwrap().rows.is_empty());
    assert_eq!(lake.status().await.unwrap().tables.len(), 5);
    lake.append_controls(&[control("a", 1)]).await.unwrap();
    assert_eq!(ask(&lake, "select port from controls").await, ["65535"]);
    assert_eq!(lake.status().await.unwrap().tables.len(), 6);
}
