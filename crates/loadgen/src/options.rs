//! What was typed, on the command line or in a scenario file: the same names, the same types, nothing resolved.
//!
//! An option is one field here, and thereby both a flag and a key. Precedence is said once, in [`LoadOptions::over`]
//! and [`TargetOptions::over`]: command line over scenario over default.

mod target;

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;

pub use self::target::{FrontOptions, ReadyWhen, SettingValue, Sockets, TargetOptions};
use clap::{Args, ValueEnum};
use report::cpus::Cpus;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::address::{ConnectTo, ProxyUrl, Resolve};
use crate::arrival::Arrival;
use crate::check::Check;
use crate::quantity::{Rate, Span, Stages, Timeout};
use crate::scenario::schema::CpuList;

/// A whole number from 1 on, refused in words that mean something to a person.
fn at_least_one<N: FromStr>(text: &str) -> Result<N, &'static str> {
    let is_positive = text.parse::<u64>().is_ok_and(|number| number > 0);
    text.parse()
        .map_err(|_| if is_positive { "that is too many" } else { "it must be a whole number from 1 on" })
}

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// The fastest engine that can carry the request
    Auto,
    /// HTTP/1.1, our own from the socket up
    Http1,
    /// HTTP/2, on the h2 library
    Http2,
    /// reqwest, for comparison: slower, tells less
    Reqwest,
    /// No network at all: every request is answered with 200 after a millisecond. For testing loadgen itself.
    #[value(hide = true)]
    #[serde(skip)]
    Fake,
}

/// The load: what is sent, how often, over how many connections.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct LoadOptions {
    /// Number of requests [default: 200]. Not used when a duration is given
    #[arg(short = 'n', long, alias = "n", value_name = "N", value_parser = at_least_one::<NonZeroU64>)]
    pub requests: Option<NonZeroU64>,

    /// Number of connections, each with one request at a time [default: 50]
    #[arg(short = 'c', long, alias = "c", value_name = "N", value_parser = at_least_one::<NonZeroU32>)]
    pub connections: Option<NonZeroU32>,

    /// How long to send requests, such as 10s or 1m30s; 0 is no duration: the number of requests counts
    #[arg(short = 'z', long, alias = "z", value_name = "TIME")]
    pub duration: Option<Span>,

    /// Requests per second in all, sent when they are due, whether or not earlier ones were answered (open model)
    #[arg(long, value_name = "R")]
    pub rate: Option<Rate>,

    /// How the requests of --rate arrive: poisson, uniform or burst:K [default: poisson]
    #[arg(long, value_name = "HOW")]
    pub arrival: Option<Arrival>,

    /// Rates one after the other, such as 30s@100,60s@500, instead of --rate and --duration
    #[arg(long, value_name = "STAGES")]
    pub stages: Option<Stages>,

    /// Seed of the random arrivals; the same seed gives the same due times [default: another one each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Requests per second of each connection, at most; 0 is no limit [default: 0]
    #[arg(short = 'q', long, alias = "q", value_name = "R")]
    pub rate_per_connection: Option<Rate>,

    /// How long one request may take, in seconds or as 500ms; 0 is no limit [default: 20]
    #[arg(short = 't', long, alias = "t", value_name = "TIME")]
    pub timeout: Option<Timeout>,

    /// How long to wait for unfinished requests when the duration is over [default: the timeout]
    #[arg(long, value_name = "TIME")]
    pub drain: Option<Span>,

    /// Load before the measured one begins, such as 5s; its requests are in no figure
    #[arg(long, value_name = "TIME")]
    pub warmup: Option<Span>,

    /// File of many requests to choose from: a URL or path per line, or JSON lines (url, method, headers, body, ...)
    #[arg(long, value_name = "FILE")]
    pub mix: Option<PathBuf>,

    /// A whole curl command, as browsers copy it; flags beside it win
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    pub curl: Option<String>,

    /// What must hold of every answer, such as "status == 200", "header content-type contains json",
    /// "body matches REGEX" or "body size > 10"; may be repeated
    #[arg(long, value_name = "CHECK")]
    #[serde(default)]
    pub check: Vec<Check>,

    /// Count answers by the value of this header field, such as the one that names the server behind a proxy
    #[arg(long, value_name = "NAME")]
    pub count_header: Option<String>,

    /// HTTP method [default: GET]
    #[arg(short = 'm', long, alias = "m", value_name = "METHOD")]
    pub method: Option<String>,

    /// Header field, such as "Name: value"; may be repeated, of one name the last counts
    #[arg(short = 'H', long = "header", alias = "H", value_name = "FIELD", allow_hyphen_values = true)]
    #[serde(default)]
    pub header: Vec<String>,

    /// Accept header
    #[arg(short = 'A', long, alias = "A", value_name = "TYPE")]
    pub accept: Option<String>,

    /// Content-Type header, sent with every request; empty for none [default: text/html]
    #[arg(short = 'T', long, alias = "T", value_name = "TYPE")]
    pub content_type: Option<String>,

    /// User-Agent header [default: loadgen/VERSION]
    #[arg(short = 'U', long, alias = "U", value_name = "TEXT")]
    pub user_agent: Option<String>,

    /// Basic authentication, as user:password
    #[arg(short = 'a', long, alias = "a", value_name = "USER:PASSWORD")]
    pub auth: Option<String>,

    /// Host header, where it is not the host of the URL
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,

    /// Do not ask for compressed answers
    #[arg(long)]
    #[serde(default)]
    pub disable_compression: bool,

    /// Ask for the connection to be closed after each answer, and open a new one for each request
    #[arg(long)]
    #[serde(default)]
    pub disable_keepalive: bool,

    /// Do not follow redirects: count them as answers
    #[arg(long)]
    #[serde(default)]
    pub disable_redirects: bool,

    /// Request body
    #[arg(short = 'd', long, alias = "d", value_name = "TEXT", allow_hyphen_values = true)]
    pub body: Option<String>,

    /// File with the request body; wins over the body given as text
    #[arg(short = 'D', long, alias = "D", value_name = "FILE")]
    pub body_file: Option<PathBuf>,

    /// Speak HTTP/1.1, which is the default
    #[arg(long)]
    #[serde(default)]
    pub http1: bool,

    /// Speak HTTP/2 over TLS; a server that does not is refused
    #[arg(long, alias = "h2")]
    #[serde(default)]
    pub http2: bool,

    /// Speak HTTP/2 over plain TCP, as the server is known to do
    #[arg(long)]
    #[serde(default)]
    pub h2c: bool,

    /// Requests at a time on each HTTP/2 connection [default: 1]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU32>)]
    pub streams: Option<NonZeroU32>,

    /// HTTP proxy, as host:port or http://user:password@host:port
    #[arg(short = 'x', long, alias = "x", value_name = "PROXY")]
    pub proxy: Option<ProxyUrl>,

    /// Addresses of a host and port, instead of looking the name up, as HOST:PORT:ADDRESS; may be repeated
    #[arg(long, value_name = "RULE")]
    #[serde(default)]
    pub resolve: Vec<Resolve>,

    /// Where to connect to instead, as HOST:PORT:HOST:PORT, of which the first two may be empty; may be repeated
    #[arg(long, value_name = "RULE")]
    #[serde(default)]
    pub connect_to: Vec<ConnectTo>,

    /// Connect to this unix socket, wherever the URL leads
    #[arg(long, value_name = "PATH")]
    pub unix_socket: Option<PathBuf>,

    /// How long establishing a connection may take, look-up and TLS included [default: the timeout]
    #[arg(long, value_name = "TIME")]
    pub connect_timeout: Option<Span>,

    /// Take any TLS certificate, whoever signed it, as hey does
    #[arg(short = 'k', long)]
    #[serde(default)]
    pub insecure: bool,

    /// File with the certificates (PEM) of the authorities to trust, instead of the system's
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,

    /// File with the certificate (PEM) to show to the server; with --key
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,

    /// File with the private key (PEM) of --cert, where it is not in the same file
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// Name to ask for in the TLS handshake, and to find in the certificate [default: the host of the URL]
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,

    /// How requests travel [default: auto]
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub engine: Option<EngineChoice>,

    /// CPUs that the generator runs on, such as 1 or 2-3,6 [default: all that it may use]
    #[arg(long, value_name = "CPUS")]
    #[schemars(with = "Option<CpuList>")]
    pub cpu_set: Option<Cpus>,

    /// Worker threads [default: one per 16 connections, at most one per CPU]
    #[arg(long, alias = "cpus", value_name = "N", value_parser = at_least_one::<NonZeroU16>)]
    pub workers: Option<NonZeroU16>,
}

impl LoadOptions {
    /// These options, and where one is not set that of `lower`. What excludes each other is decided by whoever sets
    /// one of it: requests, duration and stages; the ways to pace; the ways to give a body.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        let sets_stop = self.requests.is_some() || self.duration.is_some() || self.stages.is_some();
        let stop = if sets_stop { (self.requests, self.duration) } else { (lower.requests, lower.duration) };
        let sets_pace = self.rate.is_some() || self.stages.is_some() || self.rate_per_connection.is_some();
        let pace = if sets_pace {
            (self.rate, self.stages, self.rate_per_connection)
        } else {
            (lower.rate, lower.stages, lower.rate_per_connection)
        };
        let sets_body = self.body.is_some() || self.body_file.is_some();
        let body = if sets_body { (self.body, self.body_file) } else { (lower.body, lower.body_file) };
        let sets_protocol = self.http1 || self.http2 || self.h2c;
        let protocol = if sets_protocol {
            (self.http1, self.http2, self.h2c)
        } else {
            (lower.http1, lower.http2, lower.h2c)
        };
        let mut header = lower.header;
        header.extend(self.header);
        let mut check = lower.check;
        check.extend(self.check);
        Self {
            requests: stop.0,
            connections: self.connections.or(lower.connections),
            duration: stop.1,
            rate: pace.0,
            stages: pace.1,
            rate_per_connection: pace.2,
            arrival: self.arrival.or(lower.arrival),
            seed: self.seed.or(lower.seed),
            timeout: self.timeout.or(lower.timeout),
            drain: self.drain.or(lower.drain),
            warmup: self.warmup.or(lower.warmup),
            mix: self.mix.or(lower.mix),
            curl: self.curl.or(lower.curl),
            check,
            count_header: self.count_header.or(lower.count_header),
            method: self.method.or(lower.method),
            header,
            accept: self.accept.or(lower.accept),
            content_type: self.content_type.or(lower.content_type),
            user_agent: self.user_agent.or(lower.user_agent),
            auth: self.auth.or(lower.auth),
            host: self.host.or(lower.host),
            disable_compression: self.disable_compression || lower.disable_compression,
            disable_keepalive: self.disable_keepalive || lower.disable_keepalive,
            disable_redirects: self.disable_redirects || lower.disable_redirects,
            body: body.0,
            body_file: body.1,
            http1: protocol.0,
            http2: protocol.1,
            h2c: protocol.2,
            streams: self.streams.or(lower.streams),
            proxy: self.proxy.or(lower.proxy),
            // The first rule that fits counts, so those of the upper layer come first.
            resolve: self.resolve.into_iter().chain(lower.resolve).collect(),
            connect_to: self.connect_to.into_iter().chain(lower.connect_to).collect(),
            unix_socket: self.unix_socket.or(lower.unix_socket),
            connect_timeout: self.connect_timeout.or(lower.connect_timeout),
            insecure: self.insecure || lower.insecure,
            cacert: self.cacert.or(lower.cacert),
            cert: self.cert.or(lower.cert),
            key: self.key.or(lower.key),
            sni: self.sni.or(lower.sni),
            engine: self.engine.or(lower.engine),
            cpu_set: self.cpu_set.or(lower.cpu_set),
            workers: self.workers.or(lower.workers),
        }
    }
}
