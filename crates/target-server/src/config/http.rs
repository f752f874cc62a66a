//! What requests may be, and what answers look like.

use clap::Args;

use super::Settings;
use super::profile::Profile;
use super::value::Size;

/// What may be typed.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "HTTP")]
pub struct HttpArgs {
    /// Largest request body; 413 beyond [default: 64MiB; waitress: 1GiB]. Bodies are held in memory
    #[arg(long, value_name = "SIZE", env = "TARGET_MAX_BODY")]
    pub max_body: Option<Size>,

    /// Most header lines in a request; 431 beyond [default: 256; waitress: 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), env = "TARGET_MAX_HEADERS")]
    pub max_headers: Option<u16>,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Most header lines of a request.
    pub max_headers: u16,
}

impl Http {
    pub(super) fn resolve(args: &HttpArgs, profile: Profile) -> Self {
        let (max_body, max_headers) = match profile {
            Profile::Waitress => (1 << 30, 1024),
            Profile::Plain | Profile::Fast => (64 << 20, 256),
        };
        Self {
            max_body: args.max_body.map_or(max_body, Size::bytes),
            max_headers: args.max_headers.unwrap_or(max_headers),
        }
    }

    pub(super) fn tell(&self, settings: &mut Settings) {
        let Self { max_body, max_headers } = self;
        settings.add("max-body", Size(*max_body as u64));
        settings.add("max-headers", max_headers);
    }
}
