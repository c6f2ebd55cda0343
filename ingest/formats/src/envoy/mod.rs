//! Envoy and Istio access logs: text by any format string, and JSON by any subset of keys. Not Envoy's gRPC log service.
//!
//! Format strings, operators and flags follow Envoy, "Access logging" (docs/root/configuration/observability/access_log);
//! Istio's defaults follow "Envoy Access Logs". The columns are described in `mapping`.

mod eight_bytes;
mod ends;
mod family;
mod flags;
mod json;
mod json_scan;
mod keys;
mod layout;
mod mapping;
mod operator;
mod record;
mod slot;
mod sniff;
mod start_time;
mod text;
mod unmapped;
mod words;

use crate::contract::Format;
use std::sync::Arc;

pub(crate) use family::FAMILY;
pub use sniff::sniff;

/// Envoy's default format string.
pub const ENVOY_TEXT: &str = concat!(
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% ",
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" ",
    "\"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n",
);

/// Istio's default format string.
pub const ISTIO_TEXT: &str = concat!(
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% ",
    "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% ",
    "%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" ",
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ",
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n",
);

/// Istio's default format string of the releases with Mixer (1.4 to 1.7).
pub const ISTIO_MIXER_TEXT: &str = concat!(
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% ",
    "\"%DYNAMIC_METADATA(istio.mixer:status)%\" \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% ",
    "%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" ",
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% ",
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n",
);

/// Longest layout, in bytes.
const LAYOUT_BYTES_MAX: usize = 64 * 1024;

/// Why a user's layout cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// No text at all, or too much.
    #[error("a layout has between 1 and {LAYOUT_BYTES_MAX} bytes, this one has {length}")]
    Length {
        /// Its length in bytes.
        length: usize,
    },
    /// A `%` that opens no operator.
    #[error(
        "byte {position}: `%{text}` is no command operator; they look like %NAME%, %NAME(ARGUMENT)% or %NAME(ARGUMENT):LENGTH%, and %% stands for a percent sign"
    )]
    Operator {
        /// Byte offset of the percent sign.
        position: usize,
        /// What follows it.
        text: String,
    },
    /// Nothing in it varies.
    #[error("the layout has no command operator such as %START_TIME%")]
    NoOperator,
    /// Two values without anything between them.
    #[error("nothing stands between %{first}% and %{second}%, so their values cannot be told apart")]
    Adjacent {
        /// The first operator.
        first: String,
        /// The one behind it.
        second: String,
    },
    /// A start time that cannot be read back.
    #[error("the start time `{pattern}` cannot be read back: {fault}")]
    TimePattern {
        /// The argument of `START_TIME`.
        pattern: String,
        /// What is wrong with it.
        fault: String,
    },
    /// Start times in two ways of writing.
    #[error("the layout writes the start time in two ways; keep one")]
    TwoTimes,
    /// Too many fields.
    #[error("a layout has at most {most} fields")]
    TooMany {
        /// How many it may have.
        most: usize,
    },
    /// It opens with a brace but is not a JSON object of texts.
    #[error("the layout opens with `{{` but is not a JSON object of keys and format strings")]
    Json {
        /// What the JSON reader says.
        #[source]
        source: serde_json::Error,
    },
    /// A JSON value that is none of a layout.
    #[error("key `{key}`: a format string or an object of them is expected")]
    JsonValue {
        /// The key, with those around it.
        key: String,
    },
}

/// The format of a user's layout: a format string, or a JSON object of keys and format strings (`json_format`).
///
/// # Errors
/// Names the part of the layout that cannot be used.
pub fn from_layout(layout: &str) -> Result<Arc<dyn Format>, LayoutError> {
    if layout.trim().is_empty() || layout.len() > LAYOUT_BYTES_MAX {
        return Err(LayoutError::Length { length: layout.len() });
    }
    if layout.trim_start().starts_with('{') {
        match serde_json::from_str(layout) {
            Ok(object) => return Ok(Arc::new(json::Json::of_layout(&object)?)),
            // A format string may itself print braces.
            Err(source) if !layout.trim_start().starts_with("{%") => return Err(LayoutError::Json { source }),
            Err(_) => {}
        }
    }
    Ok(Arc::new(text::Text::compile(layout)?))
}

/// JSON with the keys of Istio, Consul and Envoy Gateway.
#[must_use]
pub fn json() -> Arc<dyn Format> {
    Arc::new(json::Json::default())
}
