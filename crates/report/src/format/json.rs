//! The document, with the derived numbers in a `summary` block for scripts.
//!
//! [`crate::store`] reads such a text as the document and ignores the block.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::document::Document;
use crate::format::View;
use crate::json;
use crate::summary::{InstanceUse, Latency, Model, Quantile, Request, Summary, TargetUse};
use crate::verdict::Verdict;
use crate::warning::{Warning, verdict};

#[derive(Serialize)]
struct Text<'a> {
    #[serde(flatten)]
    document: &'a Document,
    summary: Block<'a>,
}

#[derive(Serialize)]
struct Block<'a> {
    model: Option<&'static str>,
    rps: Option<f64>,
    rps_hey: Option<f64>,
    rps_qualifier: Option<&'a str>,
    total_s: Option<f64>,
    sent: Option<u64>,
    answered: Option<u64>,
    errors: Option<u64>,
    timeouts: Option<u64>,
    error_rate: Option<f64>,
    latency: LatencyBlock,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    requests: BTreeMap<&'a str, RequestBlock>,
    /// What the target used of its machine, where it was watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<TargetBlock>,
    verdict: Option<&'static str>,
    /// Why, where it is not `ok`.
    reasons: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct TargetBlock {
    cpus: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    front_cpus: Option<f64>,
    generator_cpus: Option<f64>,
    machine_cpus: u64,
    cpu_set: Option<String>,
    generator_cpu_set: Option<String>,
    shared_cpu_set: Option<String>,
    cpu_us_per_request: Option<f64>,
    rss_bytes: u64,
    threads: u64,
    files: Option<u64>,
    written_bytes_per_second: Option<f64>,
    written_bytes_per_request: Option<f64>,
    restarts: u64,
    instances: Vec<InstanceBlock>,
}

#[derive(Serialize)]
struct InstanceBlock {
    number: u64,
    cpus: f64,
    cpu_us_per_request: Option<f64>,
    rss_bytes: u64,
}

#[derive(Serialize)]
struct RequestBlock {
    sent: u64,
    errors: u64,
    body_bytes: u64,
    latency: LatencyBlock,
}

#[derive(Serialize)]
struct LatencyBlock {
    count: Option<u64>,
    censored: u64,
    fastest_ns: Option<u64>,
    slowest_ns: Option<u64>,
    average_ns: Option<f64>,
    /// Those that the sample supports.
    percentiles_ns: BTreeMap<String, u64>,
    /// Of them, those that are lower bounds.
    lower_bounds: Vec<String>,
}

pub(super) fn render(view: &View<'_>) -> String {
    json::to_text(&Text { document: view.document, summary: block(view) })
}

fn block<'a>(view: &View<'a>) -> Block<'a> {
    let summary: &'a Summary = view.summary;
    Block {
        model: summary.model.map(|model| match model {
            Model::Closed => "closed",
            Model::Open => "open",
        }),
        rps: summary.rps,
        rps_hey: summary.rps_hey,
        rps_qualifier: summary.rps_qualifier.as_deref(),
        total_s: summary.total_s,
        sent: summary.sent,
        answered: summary.answered,
        errors: summary.errors,
        timeouts: summary.timeouts,
        error_rate: summary.error_rate,
        latency: latency_block(&summary.latency, view),
        requests: summary.requests.iter().map(|request| request_block(request, view)).collect(),
        target: summary.usage.as_ref().map(target_block),
        verdict: matches!(view.document, Document::Run(_)).then(|| match verdict(view.warnings) {
            Verdict::Ok => "ok",
            Verdict::Suspect => "suspect",
            Verdict::ClientLimited => "client_limited",
        }),
        reasons: view
            .warnings
            .iter()
            .filter(|warning| warning.verdict() != Verdict::Ok)
            .map(Warning::line)
            .collect(),
        warnings: view.warnings.iter().map(ToString::to_string).collect(),
    }
}

fn target_block(used: &TargetUse) -> TargetBlock {
    let instance = |one: &InstanceUse| InstanceBlock {
        number: one.number,
        cpus: one.cpus,
        cpu_us_per_request: one.cpu_us_per_request,
        rss_bytes: one.rss_bytes,
    };
    TargetBlock {
        cpus: used.cpus,
        front_cpus: used.front_cpus,
        generator_cpus: used.generator_cpus,
        machine_cpus: used.machine_cpus,
        cpu_set: used.target_set.as_ref().map(ToString::to_string),
        generator_cpu_set: used.generator_set.as_ref().map(ToString::to_string),
        shared_cpu_set: used.shared_set.as_ref().map(ToString::to_string),
        cpu_us_per_request: used.cpu_us_per_request,
        rss_bytes: used.rss_bytes,
        threads: used.threads,
        files: used.files,
        written_bytes_per_second: used.written_per_second,
        written_bytes_per_request: used.written_per_request,
        restarts: used.restarts,
        instances: used.instances.iter().map(instance).collect(),
    }
}

fn request_block<'a>(request: &'a Request, view: &View<'_>) -> (&'a str, RequestBlock) {
    let Request { name, sent, errors, body_bytes, latency } = request;
    let latency = latency_block(latency, view);
    (name, RequestBlock { sent: *sent, errors: *errors, body_bytes: *body_bytes, latency })
}

fn latency_block(latency: &Latency, view: &View<'_>) -> LatencyBlock {
    let supported = || view.quantiles_of(latency).filter(|quantile| quantile.is_supported);
    let entry = |quantile: &Quantile| (quantile.percentile.to_string(), quantile.value_ns);
    LatencyBlock {
        count: latency.count,
        censored: latency.censored,
        fastest_ns: latency.fastest_ns,
        slowest_ns: latency.slowest_ns,
        average_ns: latency.average_ns,
        percentiles_ns: supported().map(entry).collect(),
        lower_bounds: supported()
            .filter(|quantile| quantile.is_lower_bound)
            .map(|quantile| quantile.percentile.to_string())
            .collect(),
    }
}
