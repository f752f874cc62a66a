//! The document, with the derived numbers in a `summary` block for scripts.
//!
//! [`crate::store`] reads such a text as the document and ignores the block.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::document::Document;
use crate::format::View;
use crate::json;
use crate::summary::{Latency, Model, Quantile, Request, Summary};
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
    verdict: Option<&'static str>,
    /// Why, where it is not `ok`.
    reasons: Vec<String>,
    warnings: Vec<String>,
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
