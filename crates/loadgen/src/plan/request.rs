//! What is sent: the URL, the method, the header fields and the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use url::Url;

use super::PlanError;
use crate::check::Check;
use crate::options::LoadOptions;
use crate::source::is_secret;

const CONTENT_TYPE: &str = "text/html";

pub(super) fn parse_url(text: &str) -> Result<Url, PlanError> {
    let looks_like_host = |text: &str| {
        let host = text.split(['/', '?']).next().unwrap_or_default();
        host == "localhost" || host.contains('.') || host.contains(':')
    };
    let no_scheme = || PlanError::NoScheme { text: text.to_owned() };
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(_) if !text.contains("://") && looks_like_host(text) => return Err(no_scheme()),
        Err(_) => return Err(PlanError::Url(text.to_owned())),
    };
    match url.scheme() {
        "http" | "https" if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(url),
        "http" | "https" => Err(PlanError::Url(text.to_owned())),
        _ if !text.contains("://") && looks_like_host(text) => Err(no_scheme()),
        scheme => Err(PlanError::Scheme { scheme: scheme.to_owned(), url: text.to_owned() }),
    }
}

pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

pub(super) fn method(text: &str) -> Result<String, PlanError> {
    if is_token(text) { Ok(text.to_ascii_uppercase()) } else { Err(PlanError::Method(text.to_owned())) }
}

/// The header fields in hey's order: the program's own, then those given, of which the last of a name counts, then those
/// that one request of a mix has for its own.
pub(super) fn headers(
    url: &Url,
    options: &LoadOptions,
    own: &[(String, String)],
) -> Result<Vec<(String, String)>, PlanError> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| {
        let found = all.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
        match found {
            Some((_, known)) => value.clone_into(known),
            None => all.push((name.to_owned(), value.to_owned())),
        }
    };
    set(
        "User-Agent",
        options.user_agent.as_deref().unwrap_or(concat!("loadgen/", env!("CARGO_PKG_VERSION"))),
    );
    let content_type = options.content_type.as_deref().unwrap_or(CONTENT_TYPE);
    if !content_type.is_empty() {
        set("Content-Type", content_type);
    }
    // A compressed body says nothing to a check.
    let looks_at_body = options.check.iter().any(Check::looks_at_body);
    if !options.disable_compression && !looks_at_body {
        set("Accept-Encoding", "gzip");
    }
    if options.disable_keepalive {
        set("Connection", "close");
    }
    if let Some(host) = &options.host {
        if host.bytes().any(|byte| byte.is_ascii_whitespace()) {
            return Err(PlanError::Header(format!("Host: {host}")));
        }
        set("Host", host);
    }
    if let Some(credentials) = credentials(url, options)? {
        set("Authorization", &format!("Basic {}", STANDARD.encode(credentials)));
    }
    for field in &options.header {
        let (name, value) = field.split_once(':').ok_or_else(|| PlanError::Header(field.clone()))?;
        set(name, value.trim());
    }
    if let Some(accept) = &options.accept {
        set("Accept", accept);
    }
    for (name, value) in own {
        set(name, value);
    }
    let is_text = |value: &str| value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    match all.iter().find(|(name, value)| !is_token(name) || !is_text(value)) {
        Some((name, value)) => Err(PlanError::Header(format!("{name}: {value}"))),
        None => Ok(all),
    }
}

/// Who asks: as given, else as the URL says.
fn credentials(url: &Url, options: &LoadOptions) -> Result<Option<Vec<u8>>, PlanError> {
    if let Some(given) = &options.auth {
        let is_pair = given.split_once(':').is_some_and(|(user, _)| !user.is_empty());
        return if is_pair { Ok(Some(given.as_bytes().to_vec())) } else { Err(PlanError::Auth) };
    }
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    Ok(Some(pair))
}

pub(super) fn body(options: &LoadOptions) -> Result<Bytes, PlanError> {
    match (&options.body_file, &options.body) {
        (Some(path), _) => match std::fs::read(path) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(PlanError::Body { path: path.clone(), error }),
        },
        (None, Some(text)) => Ok(text.clone().into()),
        (None, None) => Ok(Bytes::new()),
    }
}

/// The URL with its password hidden.
pub(crate) fn masked(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    url.to_string()
}

/// A header's value as it may be stored: credentials are not.
pub(super) fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) { "***" } else { value }
}
