//! Makes the object stores known by the schemes of their URLs.

use std::sync::Once;

/// Registers S3, GCS and Azure, once.
pub(crate) fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        deltalake::aws::register_handlers(None);
        deltalake::gcp::register_handlers(None);
        deltalake::azure::register_handlers(None);
    });
}
