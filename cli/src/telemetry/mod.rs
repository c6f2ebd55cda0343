//! What the service says of itself: metrics for Prometheus, and metrics, traces and log messages over OTLP where the settings
//! name a collector. What is counted is in `stages::counters`; what each number means is in [`metrics`].

pub(crate) mod lag;
pub(crate) mod metrics;

use crate::config::TelemetrySettings;
use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// What is sent over OTLP.
#[derive(Debug)]
pub(crate) struct Exporters {
    traces: SdkTracerProvider,
    logs: SdkLoggerProvider,
    endpoint: String,
    resource: Resource,
    interval: Duration,
}

/// Who says it.
fn resource(instance: &str) -> Resource {
    Resource::builder()
        .with_service_name("tradewind")
        .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Exporters {
    /// Begins to export, on the runtime that the caller has entered. None where the settings name no collector.
    ///
    /// # Errors
    /// An endpoint that is none.
    pub(crate) fn start(settings: &TelemetrySettings, instance: &str) -> anyhow::Result<Option<Self>> {
        let endpoint = settings.otlp_endpoint.clone();
        if endpoint.is_empty() {
            return Ok(None);
        }
        let failed = || format!("failed to set up telemetry to {endpoint} ([telemetry] otlp_endpoint)");
        let resource = resource(instance);
        let spans = SpanExporter::builder().with_tonic().with_endpoint(&endpoint).build().with_context(failed)?;
        let logs = LogExporter::builder().with_tonic().with_endpoint(&endpoint).build().with_context(failed)?;
        Ok(Some(Self {
            traces: SdkTracerProvider::builder().with_batch_exporter(spans).with_resource(resource.clone()).build(),
            logs: SdkLoggerProvider::builder().with_batch_exporter(logs).with_resource(resource.clone()).build(),
            interval: Duration::from_secs(settings.interval_s),
            endpoint,
            resource,
        }))
    }

    /// Layers of the log that send spans and messages on. What the exporter itself says is not: it would never end.
    pub(crate) fn layers<S>(&self, level: &str) -> Vec<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let is_ours = || filter_fn(|metadata| metadata.target().starts_with("tradewind"));
        let logs = OpenTelemetryTracingBridge::new(&self.logs);
        let level = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("warn"));
        let spans = tracing_opentelemetry::layer().with_tracer(self.traces.tracer("tradewind"));
        vec![logs.with_filter(level).with_filter(is_ours()).boxed(), spans.with_filter(is_ours()).boxed()]
    }

    /// Sends what is left.
    pub(crate) fn end(&self) {
        for error in [self.traces.shutdown().err(), self.logs.shutdown().err()].into_iter().flatten() {
            tracing::debug!(%error, "the last telemetry was not sent");
        }
    }
}

/// A provider of metrics with a page for Prometheus, and a sender where there is one.
///
/// # Errors
/// An endpoint that is none.
pub(crate) fn meters(
    registry: &prometheus::Registry,
    instance: &str,
    exporters: Option<&Exporters>,
) -> anyhow::Result<SdkMeterProvider> {
    let page = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build();
    let page = page.context("failed to set up the metrics page")?;
    let mut builder = SdkMeterProvider::builder().with_reader(page);
    if let Some(exporters) = exporters {
        let exporter = MetricExporter::builder().with_tonic().with_endpoint(&exporters.endpoint).build();
        let exporter = exporter.context("failed to set up metrics over OTLP")?;
        builder = builder
            .with_reader(PeriodicReader::builder(exporter).with_interval(exporters.interval).build())
            .with_resource(exporters.resource.clone());
    } else {
        builder = builder.with_resource(resource(instance));
    }
    Ok(builder.build())
}

/// The registry that layers are for.
pub(crate) type Subscribed = Registry;
