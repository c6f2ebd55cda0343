//! Lines written to a topic as they come, by Kafka's own console producer: for tests that bring no client of their own.

use std::io::{BufWriter, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::{Kafka, ServerError};

/// A producer of one topic. Each line is a record, in the order in which they are given.
#[derive(Debug)]
pub struct Feed {
    topic: String,
    lines: Option<BufWriter<ChildStdin>>,
    child: Child,
}

impl Kafka {
    /// Starts a producer for a topic, a JVM of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn feed(&self, topic: &str) -> Result<Feed, ServerError> {
        let failed = |reason: String| ServerError::Spawn { program: "the console producer".to_owned(), reason };
        let bootstrap = self.bootstrap();
        let mut child = Command::new(self.server.program())
            .args(["-Xmx96m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"])
            .args(["org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", &bootstrap, "--topic", topic])
            // Milliseconds that a line waits for others.
            .args(["--timeout", "2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let lines = child.stdin.take().map(BufWriter::new);
        Ok(Feed { topic: topic.to_owned(), lines, child })
    }
}

impl Feed {
    /// Writes lines; none of them holds an end of line.
    ///
    /// # Errors
    /// When the producer has ended.
    pub fn write<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> Result<(), ServerError> {
        let Some(pipe) = &mut self.lines else { return Ok(()) };
        let write = || -> std::io::Result<()> {
            for line in lines {
                writeln!(pipe, "{line}")?;
            }
            pipe.flush()
        };
        write().map_err(|error| ServerError::request(format!("writing to {}", self.topic), &error))
    }

    /// Waits until all of it is in the topic.
    ///
    /// # Errors
    /// When the producer could not write it.
    pub fn end(mut self) -> Result<(), ServerError> {
        drop(self.lines.take());
        let ended = match self.child.wait() {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Err(ServerError::request(format!("writing to {}", self.topic), &ended))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        drop(self.lines.take());
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
