//! Answers that refuse a request: RFC 9457 problem details that say what to do.

use crate::counters::RejectReason;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) reason: RejectReason,
    pub(crate) detail: String,
    /// Seconds after which it is worth trying again.
    pub(crate) retry_after_s: Option<u32>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, reason: RejectReason, detail: impl Into<String>) -> Self {
        Self { status, reason, detail: detail.into(), retry_after_s: None }
    }

    pub(crate) const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The request cannot be read.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, RejectReason::Malformed, detail)
    }

    /// A body or record is over a limit.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, RejectReason::TooLarge, detail)
    }

    /// Memory is full.
    pub(crate) fn no_memory() -> Self {
        let detail = "too many bytes are being taken in at the moment; keep the data and send it again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, RejectReason::Overloaded, detail).retry_after(1)
    }

    /// The log cannot be reached.
    pub(crate) fn away() -> Self {
        let detail = "the log cannot be reached, nothing is taken in; keep the data and send it again, with the same \
                      Idempotency-Key where there is one";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, RejectReason::Unavailable, detail).retry_after(5)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = serde_json::json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "reason": self.reason.as_str(),
            "detail": self.detail,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd, identity"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        response
    }
}
