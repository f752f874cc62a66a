//! Who may look inside? Reserved paths, on a socket of their own and, where that is wanted, among the others.
//!
//! What is asked here is no load: it is not counted, keeps no row, and nothing waits for it.

mod backlog;
mod metrics;
pub mod serve;

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde_json::{Value, json};

pub use backlog::{Socket, Waiting};

use crate::clock;
use crate::faults::{Faults, MAX_TEXT, Mischief};
use crate::log::{Event, Level, Log};
use crate::phase::{Phase, Phases};
use crate::stats::Stats;
use crate::stats::account::Account;
use crate::store::{Figures, Store};

/// What all reserved paths begin with.
const RESERVED: &str = "/-/";

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What can be asked, and what each path allows (HEAD wherever GET is).
const PATHS: [(&str, &str); 6] = [
    ("/-/healthz", "GET, HEAD"),
    ("/-/readyz", "GET, HEAD"),
    ("/-/metrics", "GET, HEAD"),
    ("/-/stats", "GET, HEAD"),
    ("/-/reset", "POST"),
    ("/-/faults", "GET, HEAD, PUT"),
];

/// What is known of one instance.
#[derive(Debug)]
pub struct Admin {
    /// Its name.
    pub instance: String,
    /// All its settings, by the names of their flags.
    pub settings: Value,
    /// The sockets on which it takes requests.
    pub sockets: Vec<Socket>,
    /// What it did.
    pub stats: Arc<Stats>,
    /// How it misbehaves.
    pub mischief: Arc<Mischief>,
    /// Whether it serves.
    pub phases: Arc<Phases>,
    /// Where it is said that something was changed.
    pub log: Arc<Log>,
    /// Its store, when it is open.
    pub store: OnceLock<Store>,
}

/// Everything that is known of one instance, as `/-/stats` tells it.
#[derive(Debug, Serialize)]
struct Everything<'a> {
    instance: &'a str,
    pid: u32,
    version: &'static str,
    state: &'static str,
    ready: bool,
    /// Why not. Null when it is.
    not_ready: Option<String>,
    /// What goes wrong at the moment, as the log calls it.
    troubles: Vec<&'static str>,
    #[serde(flatten)]
    account: Account,
    faults_in_force: String,
    /// Absent until it is open. Its figures count from the last reset too.
    store: Option<Figures>,
    accept_queues: Vec<Waiting>,
    log_lines_lost: u64,
    settings: &'a Value,
}

impl Admin {
    /// Whether a path is one of these.
    pub fn is_reserved(path: &str) -> bool {
        path.starts_with(RESERVED)
    }

    /// What is answered to a request for one of these paths.
    pub async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: hyper::body::Body,
        B::Error: Into<axum::BoxError>,
    {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let Some((_, allowed)) = PATHS.iter().find(|(known, _)| *known == path) else {
            let list: Vec<&str> = PATHS.iter().map(|(path, _)| *path).collect();
            let text = format!("there is no {path} here; there are {}\n", list.join(", "));
            return respond(StatusCode::NOT_FOUND, TEXT, text);
        };
        if !allowed.split(", ").any(|method| method == head.method.as_str()) {
            let text = format!("{path} allows {allowed}\n");
            let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            return response;
        }
        match path {
            "/-/healthz" => respond(StatusCode::OK, TEXT, "alive\n"),
            "/-/readyz" => self.ready().await,
            "/-/metrics" => {
                let is_ready = self.not_ready().await.is_none();
                respond(StatusCode::OK, METRICS, metrics::text(self, is_ready, &self.waiting().await))
            }
            "/-/stats" => {
                let not_ready = self.not_ready().await;
                json_of(StatusCode::OK, &self.everything(not_ready, self.waiting().await))
            }
            "/-/reset" => self.reset(),
            _ if head.method == Method::PUT => self.set_faults(body).await,
            _ => self.faults(StatusCode::OK),
        }
    }

    async fn ready(&self) -> Response {
        match self.not_ready().await {
            None => respond(StatusCode::OK, TEXT, format!("{}\n", Phase::Serving.name())),
            Some(reason) => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
        }
    }

    /// Why it takes no requests, or could not record them; `None` when it is ready.
    async fn not_ready(&self) -> Option<String> {
        let phase = self.phases.now();
        if phase != Phase::Serving {
            return Some(phase.name().to_owned());
        }
        let store = self.store.get()?;
        if store.is_closed() {
            let reason = "nothing can be recorded any more: the store is closed; start the server anew";
            return Some(reason.to_owned());
        }
        let looked = store.clone();
        // Without an answer nothing is known but what requests have found out.
        let _ = tokio::task::spawn_blocking(move || looked.check()).await;
        self.stats.troubles.hinders().map(|reason| reason.replace('\n', " "))
    }

    fn reset(&self) -> Response {
        self.stats.reset();
        self.store.get().into_iter().for_each(Store::reset);
        self.mischief.restart();
        let since = clock::timestamp();
        self.log.tell(Level::Info, Event::new("reset", "counters were reset").with("since", since.clone()));
        json_of(StatusCode::OK, &json!({ "instance": self.instance, "since": since }))
    }

    fn faults(&self, status: StatusCode) -> Response {
        let mischief = &self.mischief;
        let told = json!({
            "instance": self.instance,
            "faults": mischief.faults().to_string(),
            "seed": mischief.seed(),
            "allowed": mischief.allowed,
        });
        json_of(status, &told)
    }

    async fn set_faults<B>(&self, body: B) -> Response
    where
        B: hyper::body::Body,
        B::Error: Into<axum::BoxError>,
    {
        if !self.mischief.allowed {
            let text = "faults cannot be changed: start the server with --allow-faults\n";
            return respond(StatusCode::FORBIDDEN, TEXT, text);
        }
        let Ok(body) = Limited::new(body, MAX_TEXT).collect().await else {
            return respond(
                StatusCode::BAD_REQUEST,
                TEXT,
                format!("faults are at most {MAX_TEXT} bytes of text\n"),
            );
        };
        let bytes = body.to_bytes();
        let faults = std::str::from_utf8(&bytes)
            .map_err(|_| "faults are plain text".to_owned())
            .and_then(|text| text.trim().parse::<Faults>().map_err(|error| error.to_string()));
        match faults {
            Ok(faults) => {
                let event = match faults.to_string() {
                    none if none.is_empty() => {
                        Event::new("faults", "no faults any more").with("faults", none)
                    }
                    some => Event::new("faults", format!("faults from now on: {some}")).with("faults", some),
                };
                self.mischief.set(faults);
                self.log.tell(Level::Info, event);
                self.faults(StatusCode::OK)
            }
            Err(reason) => respond(StatusCode::BAD_REQUEST, TEXT, format!("{reason}\n")),
        }
    }

    fn everything(&self, not_ready: Option<String>, accept_queues: Vec<Waiting>) -> Everything<'_> {
        Everything {
            instance: &self.instance,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            state: self.phases.now().name(),
            ready: not_ready.is_none(),
            not_ready,
            troubles: self.stats.troubles.now().filter_map(|(name, is_so)| is_so.then_some(name)).collect(),
            account: self.stats.account(),
            faults_in_force: self.mischief.faults().to_string(),
            store: self.store.get().map(Store::figures),
            accept_queues,
            log_lines_lost: self.log.lost(),
            settings: &self.settings,
        }
    }

    async fn waiting(&self) -> Vec<Waiting> {
        let sockets = self.sockets.clone();
        // The kernel lists every connection of the machine: that takes a while when there are many.
        tokio::task::spawn_blocking(move || backlog::waiting(&sockets)).await.unwrap_or_default()
    }
}

fn json_of(status: StatusCode, value: &impl Serialize) -> Response {
    // Plain structs of numbers and text cannot fail to serialise.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    respond(status, JSON, text + "\n")
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // What stood here a moment ago is of no use.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
