//! An S3 gateway over a folder: versitygw, whose conditional puts have exactly one winner. Killed, paused, restarted and made read-only
//! on the same port and data.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::folder::RunFolder;
use crate::managed::{Managed, Ready};
use crate::ports::Port;
use crate::process::Program;
use crate::{ServerError, http, parts};

const START_LIMIT: Duration = Duration::from_secs(30);
const ACCESS_KEY: &str = "tradewind";
const SECRET_KEY: &str = "tradewind-secret";
const REGION: &str = "us-east-1";
const BUCKET: &str = "lake";
const HEALTH: &str = "/-/health";

/// A gateway with one bucket.
///
/// ```no_run
/// # use tradewind_kafka_testkit::{S3, ServerError};
/// # fn main() -> Result<(), ServerError> {
/// let s3 = S3::start()?;
/// let settings = s3.environment(); // AWS_ENDPOINT_URL and so on, for the process that is tested
/// s3.kill9();
/// s3.restart()?;
/// s3.set_read_only(true)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct S3 {
    server: Managed,
    port: Port,
    data: PathBuf,
    // Declared last: removed after the process has ended.
    _folder: RunFolder,
}

impl S3 {
    /// A gateway over a folder that goes with it.
    ///
    /// # Errors
    /// [`ServerError::Unavailable`] without Go.
    pub fn start() -> Result<Self, ServerError> {
        let folder = RunFolder::create("s3")?;
        let data = folder.path().join("data");
        Self::start_with(folder, data)
    }

    /// A gateway over this folder, with what is in it: each folder in it is a bucket.
    ///
    /// # Errors
    /// As [`S3::start`].
    pub fn start_in(data: &Path) -> Result<Self, ServerError> {
        Self::start_with(RunFolder::create("s3")?, data.to_owned())
    }

    fn start_with(folder: RunFolder, data: PathBuf) -> Result<Self, ServerError> {
        let path = parts::program("versitygw")?;
        let port = Port::reserve()?;
        let bucket = data.join(BUCKET);
        std::fs::create_dir_all(&bucket).map_err(|error| ServerError::file("create", &bucket, &error))?;
        let address = port.address();
        let mut arguments =
            vec!["--port", &address, "--access", ACCESS_KEY, "--secret", SECRET_KEY, "--region", REGION];
        arguments.extend(["--health", HEALTH, "--keep-alive", "posix"]);
        let mut arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        arguments.push(data.display().to_string());
        let log = folder.path().join("server.log");
        let program = Program { name: "versitygw".to_owned(), path, arguments, log };
        let is_ready = |_: &_, port| http::request(port, "GET", HEALTH, "").is_ok_and(|(status, _)| status == 200);
        let server = Managed::new(program, Ready { limit: START_LIMIT, is_ready, port: port.number() });
        server.restart()?;
        Ok(Self { server, port, data, _folder: folder })
    }

    /// `http://host:port`, for addresses with the bucket in the path.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// `host:port`, to put a proxy before it.
    #[must_use]
    pub fn address(&self) -> String {
        self.port.address()
    }

    #[must_use]
    pub fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    #[must_use]
    pub fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    #[must_use]
    pub fn region(&self) -> &'static str {
        REGION
    }

    #[must_use]
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    /// The settings of a client as the environment of a process, with the endpoint of the gateway itself.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.environment_at(&self.endpoint())
    }

    /// [`S3::environment`] with the endpoint of a proxy.
    #[must_use]
    pub fn environment_at(&self, endpoint: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", endpoint.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }

    /// The bucket's folder: objects are files under their keys.
    #[must_use]
    pub fn bucket_folder(&self) -> PathBuf {
        self.data.join(BUCKET)
    }

    /// SIGKILL. Returns when the process is gone.
    pub fn kill9(&self) {
        self.server.kill9();
    }

    /// SIGTERM, and the wait for an orderly end.
    ///
    /// # Errors
    /// When it takes longer than a minute; it is killed then.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.server.stop()
    }

    /// Starts it again on the same port and data; writable.
    ///
    /// # Errors
    /// With the end of the log.
    pub fn restart(&self) -> Result<(), ServerError> {
        self.server.restart()
    }

    /// Restarts it so that it refuses writes with 403, or takes them again.
    ///
    /// # Errors
    /// With the end of the log.
    pub fn set_read_only(&self, is_read_only: bool) -> Result<(), ServerError> {
        self.server.restart_with(if is_read_only { &["--readonly"] } else { &[] })
    }

    /// SIGSTOP: connections stay open and nothing is answered.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<(), ServerError> {
        self.server.signal("STOP")
    }

    /// SIGCONT after [`S3::pause`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<(), ServerError> {
        self.server.signal("CONT")
    }

    /// The process, for measurements; `None` while it does not run.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.server.process_id()
    }

    /// The last lines of its log since the start.
    #[must_use]
    pub fn logs_tail(&self) -> String {
        self.server.logs_tail()
    }
}
