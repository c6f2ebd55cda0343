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

/// Puts objects that are there already, one writer after the other and both at once, and refuses a store that takes them.
pub(crate) async fn conditional_put(location: &LakeLocation) -> Result<(), LakeError> {
    let store = store_for(&location.url("")?, location.options().clone()).map_err(|source| LakeError::Open {
        root: location.to_string(),
        table: "(the probe)",
        source: Box::new(source),
    })?;
    let folder = format!("_tradewind_probe/{}", Uuid::now_v7());
    let probed = probe(&store, &folder).await;
    for name in ["after", "together"] {
        // What stays is small and nobody reads it.
        store.delete(&Path::from(format!("{folder}/{name}"))).await.ok();
    }
    match probed {
        Ok(None) => Ok(()),
        Ok(Some(observed)) => Err(LakeError::NoConditionalPut { root: location.to_string(), observed }),
        Err(source) => Err(LakeError::Store { root: location.to_string(), source: Box::new(source) }),
    }
}

/// What is wrong with the store, if anything is.
async fn probe(store: &dyn ObjectStore, folder: &str) -> Result<Option<&'static str>, Error> {
    let after = Path::from(format!("{folder}/after"));
    if !create(store, &after, "first").await? {
        return Ok(Some("it refused to make an object that was not there"));
    }
    if create(store, &after, "second").await? || read(store, &after).await? != "first" {
        return Ok(Some("a second writer replaced an object that was there"));
    }
    let together = Path::from(format!("{folder}/together"));
    let (left, right) = futures::join!(create(store, &together, "left"), create(store, &together, "right"));
    let expected = match (left?, right?) {
        (true, false) => "left",
        (false, true) => "right",
        (true, true) => return Ok(Some("it told two writers at once that each had made the object")),
        (false, false) => return Ok(Some("of two writers at once none made the object")),
    };
    if read(store, &together).await? != expected {
        return Ok(Some("the object is not that of the writer that was told to have made it"));
    }
    Ok(None)
}

/// Makes an object that must not be there. False: it was there.
async fn create(store: &dyn ObjectStore, path: &Path, text: &'static str) -> Result<bool, Error> {
    match store.put_opts(path, PutPayload::from_static(text.as_bytes()), PutMode::Create.into()).await {
        Ok(_) => Ok(true),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn read(store: &dyn ObjectStore, path: &Path) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&store.get(path).await?.bytes().await?).into_owned())
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

    /// A store that may overwrite whatever the writer asks, as old S3 clones do.
    #[derive(Debug)]
    struct Fake {
        store: InMemory,
        ignores_conditions: bool,
    }

    impl std::fmt::Display for Fake {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(formatter, "a fake store")
        }
    }

    #[async_trait]
    impl ObjectStore for Fake {
        async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
            if self.ignores_conditions {
                options.mode = PutMode::Overwrite;
            }
            self.store.put_opts(location, payload, options).await
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

    async fn check(ignores_conditions: bool, expected: Option<&str>) {
        let store = Fake { store: InMemory::new(), ignores_conditions };
        assert_eq!(probe(&store, "probe").await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_store_that_ignores_conditions_is_told_from_one_that_does_not() {
        check(false, None).await;
        check(true, Some("a second writer replaced an object that was there")).await;
    }
}
