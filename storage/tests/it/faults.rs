//! Commits whose answer is lost, and commits that fail, in an object store that is told to do so.

use super::{ask, flows, stage};
use async_trait::async_trait;
use deltalake::logstore::{
    LogStore, LogStoreFactory, ObjectStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories,
    object_store_factories,
};
use deltalake::{DeltaResult, Path};
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use tradewind_model::table::FLOWS;
use tradewind_storage::{
    Lake, LakeError, LakeLocation, OffsetRange, StreamCommit, StreamCommitted, TxnKey, VerifyOptions,
};
use url::Url;

const NONE: u8 = 0;
/// The entry of the log is there, and the writer is told that the store is gone.
const LANDS_UNSEEN: u8 = 1;
/// The entry is there, and the writer is told that somebody else made it: a request that the client sent twice.
const LANDS_AS_TAKEN: u8 = 2;
/// The entry is not there.
const FAILS: u8 = 3;
/// Every object is taken, also where there is one: a store that does not know conditional put.
const OVERWRITES: u8 = 4;

#[derive(Debug)]
struct Faulty {
    store: InMemory,
    fault: AtomicU8,
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "a faulty store")
    }
}

fn gone() -> Error {
    Error::Generic { store: "faulty", source: "connection reset".into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let is_entry = location.as_ref().contains("_delta_log/") && location.extension() == Some("json");
        let fault = self.fault.load(Ordering::SeqCst);
        if fault == OVERWRITES {
            options.mode = object_store::PutMode::Overwrite;
        }
        if fault == NONE || fault == OVERWRITES || !is_entry {
            return self.store.put_opts(location, payload, options).await;
        }
        // Once; the next attempt meets a sound store.
        self.fault.store(NONE, Ordering::SeqCst);
        if fault == FAILS {
            return Err(gone());
        }
        self.store.put_opts(location, payload, options).await?;
        Err(match fault {
            LANDS_UNSEEN => gone(),
            _ => Error::AlreadyExists { path: location.to_string(), source: "412".into() },
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// Gives each bucket a store of its own.
#[derive(Clone, Debug, Default)]
struct Factory {
    stores: Arc<Mutex<HashMap<String, Arc<Faulty>>>>,
}

impl Factory {
    fn get() -> &'static Self {
        static FACTORY: OnceLock<Factory> = OnceLock::new();
        FACTORY.get_or_init(|| {
            let factory = Self::default();
            let scheme = Url::parse("faulty://").unwrap();
            object_store_factories().insert(scheme.clone(), Arc::new(factory.clone()));
            logstore_factories().insert(scheme, Arc::new(factory.clone()));
            factory
        })
    }

    fn bucket(&self, name: &str) -> Arc<Faulty> {
        let sound = || Arc::new(Faulty { store: InMemory::new(), fault: AtomicU8::new(NONE) });
        Arc::clone(self.stores.lock().unwrap().entry(name.to_owned()).or_insert_with(sound))
    }
}

impl ObjectStoreFactory for Factory {
    fn parse_url_opts(&self, url: &Url, _config: &StorageConfig) -> DeltaResult<(ObjectStoreRef, Path)> {
        Ok((self.bucket(url.host_str().unwrap()), Path::from_url_path(url.path())?))
    }
}

impl LogStoreFactory for Factory {
    fn with_options(
        &self,
        prefixed_store: ObjectStoreRef,
        root_store: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(prefixed_store, root_store, location, options))
    }
}

fn bucket(name: &str) -> (Arc<Faulty>, LakeLocation) {
    let store = Factory::get().bucket(name);
    (store, format!("faulty://{name}/lake").parse().unwrap())
}

/// A commit that meets `fault`: how it ends, and what is in the lake after it and after one more.
async fn check(name: &str, fault: u8, expected: StreamCommitted) {
    let (store, location) = bucket(name);
    let lake = Lake::open_or_create(&location).await.unwrap();
    let mut sink = lake.stream_sink(&FLOWS).await.unwrap();
    let key = TxnKey { topic: "flows-1".to_owned(), partition: 0 };
    for (from, next) in [(0, 4), (4, 10)] {
        let files = stage(&lake, flows(&format!("at-{from}"), 1_700_000_000_000_000, next - from)).await;
        let commit = StreamCommit { ranges: vec![OffsetRange { key: key.clone(), from, next }], files };
        if from == 4 {
            store.fault.store(fault, Ordering::SeqCst);
        }
        let ended = sink.commit(&commit).await.unwrap();
        if from == 4 {
            assert_eq!(ended, expected, "{name}");
        }
        assert_eq!(sink.commit(&commit).await.unwrap(), StreamCommitted::Covered, "{name}");
    }
    assert_eq!(ask(&lake, "select count(*) from flows").await, ["10"], "{name}");
    let report = Lake::open(&location).await.unwrap().verify(&VerifyOptions::default()).await.unwrap();
    assert_eq!((report.problems, report.files), (Vec::new(), 2), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_not_made_twice() {
    check("unseen", LANDS_UNSEEN, StreamCommitted::Covered).await;
    check("taken", LANDS_AS_TAKEN, StreamCommitted::Covered).await;
    check("fails", FAILS, StreamCommitted::Version(2)).await;
    check("sound", NONE, StreamCommitted::Version(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_conditional_put_is_refused() {
    let (store, location) = bucket("overwrites");
    store.fault.store(OVERWRITES, Ordering::SeqCst);
    let error = Lake::open_or_create(&location).await.unwrap_err();
    assert!(matches!(error, LakeError::NoConditionalPut { .. }), "{error}");
    let shown = error.to_string();
    assert!(shown.contains("faulty://overwrites/lake") && shown.contains("If-None-Match"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_tables_is_not_a_lake() {
    let (_, location) = bucket("empty");
    assert!(matches!(Lake::open(&location).await.unwrap_err(), LakeError::NotALake { .. }));
}
