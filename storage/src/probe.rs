//! Sees whether an object store keeps two writers of one object apart, which is what a commit is. Not needed for local
//! folders, where making a link refuses a name that is taken.
//!
//! Stores that ignore `If-None-Match` answer both writers with success, and commits would be lost without a word.

use crate::error::LakeError;
use crate::location::LakeLocation;
use deltalake::logstore::store_for;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use uuid::Uuid;

/// A store has to be wrong so many times in a row.
const ATTEMPTS: u32 = 3;

/// Puts objects that are there already, one writer after the other and both at once, and refuses a store that takes them.
pub(crate) async fn conditional_put(location: &LakeLocation) -> Result<(), LakeError> {
    let store = store_for(&location.url("")?, location.options().clone()).map_err(|source| LakeError::Open {
        root: location.to_string(),
        table: "(the probe)",
        source: Box::new(source),
    })?;
    match observed_again(&store, &format!("_tradewind_probe/{}", Uuid::now_v7())).await {
        Ok(None) => Ok(()),
        Ok(Some(observed)) => Err(LakeError::NoConditionalPut { root: location.to_string(), observed }),
        Err(source) => Err(LakeError::Store { root: location.to_string(), source: Box::new(source) }),
    }
}

/// What is wrong with the store each time that it is looked at: a store that is killed in the middle of a write may leave half an
/// object, once, and ends nobody's service by it.
async fn observed_again(store: &dyn ObjectStore, folder: &str) -> Result<Option<&'static str>, Error> {
    let mut observed = None;
    for attempt in 0..ATTEMPTS {
        let folder = format!("{folder}/{attempt}");
        let probed = probe(store, &folder).await;
        for name in ["after", "together"] {
            // What stays is small and nobody reads it.
            store.delete(&Path::from(format!("{folder}/{name}"))).await.ok();
        }
        observed = probed?;
        if observed.is_none() {
            break;
        }
    }
    Ok(observed)
}

/// What is wrong with the store, if anything is.
///
/// An answer can be lost on the way, and the client asks again by itself: who is told then that the object was there may have made
/// it. So only the object says who did.
async fn probe(store: &dyn ObjectStore, folder: &str) -> Result<Option<&'static str>, Error> {
    let after = Path::from(format!("{folder}/after"));
    if !create(store, &after, "first").await? && read(store, &after).await?.as_deref() != Some("first") {
        return Ok(Some("it refused to make an object that was not there"));
    }
    if create(store, &after, "second").await? || read(store, &after).await?.as_deref() != Some("first") {
        return Ok(Some("a second writer replaced an object that was there"));
    }
    let together = Path::from(format!("{folder}/together"));
    let (left, right) = futures::join!(create(store, &together, "left"), create(store, &together, "right"));
    let told = match (left?, right?) {
        (true, true) => return Ok(Some("it told two writers at once that each had made the object")),
        (true, false) => Some("left"),
        (false, true) => Some("right"),
        (false, false) => None,
    };
    match (read(store, &together).await?.as_deref(), told) {
        (None, None) => Ok(Some("of two writers at once none made the object")),
        (found, Some(_)) if found != told => {
            Ok(Some("the object is not that of the writer that was told to have made it"))
        }
        _ => Ok(None),
    }
}

/// Makes an object that must not be there. False: it was there.
async fn create(store: &dyn ObjectStore, path: &Path, text: &'static str) -> Result<bool, Error> {
    match store.put_opts(path, PutPayload::from_static(text.as_bytes()), PutMode::Create.into()).await {
        Ok(_) => Ok(true),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The text of an object; `None` where there is none.
async fn read(store: &dyn ObjectStore, path: &Path) -> Result<Option<String>, Error> {
    match store.get(path).await {
        Ok(found) => Ok(Some(String::from_utf8_lossy(&found.bytes().await?).into_owned())),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
        PutResult, Result,
    };
    use std::sync::atomic::{AtomicBool, Ordering};

    /// What is peculiar about a store.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Kind {
        Sound,
        /// It overwrites whatever the writer asks, as old S3 clones do.
        IgnoresConditions,
        /// Its answers are lost, and the client, which asks again, is told that the object is there.
        LosesAnswers,
        /// It refuses every object.
        Refuses,
        /// It is killed in the middle of the first object, of which half stays, and is sound afterwards.
        BreaksOnce,
    }

    #[derive(Debug)]
    struct Fake {
        store: InMemory,
        kind: Kind,
        is_broken: AtomicBool,
    }

    impl std::fmt::Display for Fake {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(formatter, "a fake store")
        }
    }

    #[async_trait]
    impl ObjectStore for Fake {
        async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
            let there = || Error::AlreadyExists { path: location.to_string(), source: "it is there".into() };
            match self.kind {
                Kind::Sound => self.store.put_opts(location, payload, options).await,
                Kind::IgnoresConditions => {
                    options.mode = PutMode::Overwrite;
                    self.store.put_opts(location, payload, options).await
                }
                Kind::LosesAnswers => {
                    self.store.put_opts(location, payload, options).await?;
                    Err(there())
                }
                Kind::Refuses => Err(there()),
                Kind::BreaksOnce if self.is_broken.swap(false, Ordering::Relaxed) => {
                    self.store.put_opts(location, PutPayload::from_static(b"fi"), options).await?;
                    Err(there())
                }
                Kind::BreaksOnce => self.store.put_opts(location, payload, options).await,
            }
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

    async fn check(kind: Kind, expected: Option<&str>) {
        let store = Fake { store: InMemory::new(), kind, is_broken: AtomicBool::new(true) };
        assert_eq!(observed_again(&store, "probe").await.unwrap(), expected, "{kind:?}");
    }

    #[tokio::test]
    async fn a_store_that_ignores_conditions_is_told_from_one_that_does_not() {
        check(Kind::Sound, None).await;
        check(Kind::IgnoresConditions, Some("a second writer replaced an object that was there")).await;
        check(Kind::Refuses, Some("it refused to make an object that was not there")).await;
    }

    #[tokio::test]
    async fn lost_answers_and_half_an_object_are_not_held_against_the_store() {
        check(Kind::LosesAnswers, None).await;
        check(Kind::BreaksOnce, None).await;
    }
}
