//! What is everything that nobody typed?

use std::fmt;

/// Where unset settings come from. Each group of settings has its defaults per profile in its own file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// One transaction per request on four threads, and sensible limits
    #[default]
    Plain,
    /// As a WSGI application on waitress: 98 usable connections, its limits and timeouts, its spelling of headers
    Waitress,
    /// As fast as the same database can: group commit, a retry each millisecond, no limit of connections
    Fast,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Waitress => "waitress",
            Self::Fast => "fast",
        })
    }
}
