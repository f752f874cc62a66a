//! What requests may be, and what answers look like.

use clap::Args;
use http::HeaderValue;

use super::Settings;
use super::profile::Profile;
use super::value::{Size, whole};

/// Heads are held in memory, one for each connection.
const LARGEST_HEAD: u64 = 16 << 20;

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Largest request body; 413 beyond [default: 64MiB; waitress: 1GiB]. Bodies are held in memory
    #[arg(long, value_name = "SIZE", env = "TARGET_MAX_BODY")]
    pub max_body: Option<Size>,

    /// Largest head of a request; 431 beyond [default: 256KiB]
    #[arg(long, value_name = "SIZE", value_parser = head, env = "TARGET_MAX_HEAD")]
    pub max_head: Option<Size>,

    /// Most header lines in a request; 431 beyond [default: 100; waitress: 1024]
    ///
    /// More than 100 cost time with each request, however many it has: 1024 as much as a write to the socket.
    #[arg(long, value_name = "N", value_parser = whole(1..=u16::MAX), env = "TARGET_MAX_HEADERS")]
    pub max_headers: Option<u16>,

    /// Whether names of headers are spelled Like-This in answers, instead of like-this [default: false; waitress: true]
    #[arg(long, value_name = "BOOL", env = "TARGET_TITLE_CASE")]
    pub title_case: Option<bool>,

    /// What the Server header of answers says; empty for none [default: none; waitress: waitress-like]
    #[arg(long, value_name = "TEXT", value_parser = server, env = "TARGET_SERVER")]
    pub server: Option<HeaderValue>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Largest head of a request in bytes, 1 to 16 MiB.
    pub max_head: usize,
    /// Most header lines of a request.
    pub max_headers: u16,
    /// Whether names of headers are spelled `Like-This` in answers.
    pub title_case: bool,
    /// What answers call the server; absent when they do not.
    pub server: Option<HeaderValue>,
}

impl Http {
    pub(super) fn resolve(args: &HttpArgs, profile: Profile) -> Self {
        let (max_body, max_headers, title_case, server) = match profile {
            Profile::Waitress => (1 << 30, 1024, true, "waitress-like"),
            Profile::Plain | Profile::Fast => (64 << 20, 100, false, ""),
        };
        let server = args.server.clone().unwrap_or(HeaderValue::from_static(server));
        Self {
            max_body: args.max_body.map_or(max_body, Size::bytes),
            max_head: args.max_head.map_or(256 << 10, Size::bytes),
            max_headers: args.max_headers.unwrap_or(max_headers),
            title_case: args.title_case.unwrap_or(title_case),
            server: Some(server).filter(|server| !server.is_empty()),
        }
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        let Self { max_body, max_head, max_headers, title_case, server } = self;
        settings.add("max-body", Size(*max_body as u64));
        settings.add("max-head", Size(*max_head as u64));
        settings.add("max-headers", max_headers);
        settings.add("title-case", title_case);
        // Checked to be text when it was typed.
        settings.add("server", server.as_ref().and_then(|server| server.to_str().ok()).unwrap_or_default());
    }
}

fn head(text: &str) -> Result<Size, String> {
    let size: Size = text.parse()?;
    match size.0 {
        1..=LARGEST_HEAD => Ok(size),
        _ => Err(format!("not a size from 1 to {}", Size(LARGEST_HEAD))),
    }
}

fn server(text: &str) -> Result<HeaderValue, &'static str> {
    let value = HeaderValue::from_str(text.trim()).ok();
    value.filter(|value| value.to_str().is_ok()).ok_or("not a line of ASCII text")
}
