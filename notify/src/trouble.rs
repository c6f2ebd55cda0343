//! Why another side cannot be talked to, in words that tell what to do: certificates, names, proxies, answers that are none. Knows
//! errors, no sinks. What it does not know is told as the libraries say it.

use rustls::{CertificateError, Error as TlsError};
use std::error::Error;
use std::io;

/// Causes of an error at most; no library nests deeper.
const DEPTH_MAX: usize = 16;

/// The words for an error, by the first of its causes that is known.
pub(crate) fn words(error: &(dyn Error + 'static)) -> Option<String> {
    causes(error).into_iter().find_map(of_cause)
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        // Some libraries repeat their cause.
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

/// In words where they are known, else as the libraries say it.
pub(crate) fn told(error: &(dyn Error + 'static)) -> String {
    words(error).unwrap_or_else(|| chain(error))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut found = vec![error];
    while let Some(&last) = found.last()
        && found.len() < DEPTH_MAX
    {
        // What an I/O error wraps is not its source, but itself.
        let wrapped = last.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let next: Option<&'a (dyn Error + 'static)> = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => last.source(),
        };
        match next {
            Some(next) => found.push(next),
            None => break,
        }
    }
    found
}

fn of_cause(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<TlsError>() {
        return of_tls(error);
    }
    if let Some(said) = cause.downcast_ref::<io::Error>().and_then(|error| of_kind(error.kind())) {
        return Some(said.to_owned());
    }
    let text = cause.to_string();
    let has = |part: &str| text.contains(part);
    let said = if has("dns error") || has("failed to lookup address information") {
        "its name is not known here: is it written as it should be, and does this machine find names?"
    } else if has("tunnel error") || has("proxy authorization required") {
        let why = if has("authorization") { "it wants a user and password" } else { "it refused" };
        return Some(format!("the proxy does not lead there: {why}"));
    } else if has("connection closed before message completed") || has("tls handshake eof") {
        "it closed the connection without an answer"
    } else if has("end of file before message length reached") || has("unexpected EOF during chunk") {
        "its answer was cut off"
    } else if has("message head is too large") || has("invalid HTTP ") || has("unexpected message from connection") {
        "its answer is not HTTP: is this the right port?"
    } else {
        return None;
    };
    Some(said.to_owned())
}

const fn of_kind(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => "nobody listens there (connection refused)",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "it closed the connection without an answer"
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "there is no way to it from here",
        _ => return None,
    })
}

fn of_tls(error: &TlsError) -> Option<String> {
    let said = match error {
        TlsError::InvalidCertificate(fault) => match fault {
            CertificateError::UnknownIssuer => {
                "the authority of its certificate is not known here: if it is a private one, name it with `tls = { ca_file = \"…\" }`"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired: it has to be renewed there"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: is the clock of this machine right?"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name: use the name that is in it"
            }
            CertificateError::Revoked => "its certificate was revoked",
            other => return Some(format!("its certificate is not accepted: {other}")),
        },
        TlsError::NoCertificatesPresented => "it has no certificate",
        TlsError::InvalidMessage(_) => "it does not speak TLS: is this the right port?",
        TlsError::AlertReceived(alert) => return Some(format!("it ended the TLS handshake: {alert:?}")),
        _ => return None,
    };
    Some(said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &(dyn Error + 'static), expected: &str) {
        assert_eq!(told(error), expected);
    }

    #[test]
    fn what_an_io_error_wraps_is_found() {
        let fault = TlsError::InvalidCertificate(CertificateError::Expired);
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, fault));
        check(&error, "its certificate has expired: it has to be renewed there");
        check(
            &TlsError::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
            "it does not speak TLS: is this the right port?",
        );
    }

    #[test]
    fn what_is_not_known_is_told_as_it_is() {
        check(&io::Error::from(io::ErrorKind::ConnectionRefused), "nobody listens there (connection refused)");
        check(&io::Error::other("odd"), "odd");
    }
}
