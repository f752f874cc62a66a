//! What does a `curl` command ask for, as browsers copy it? The same options as typed flags, and a URL.

mod words;

use std::fs;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use crate::address::AddressError;
use crate::options::LoadOptions;
use crate::quantity::{Span, Timeout};

/// What percent-encoding leaves alone in a form, as curl has it.
const FORM: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the command says of a load, under what was typed beside it, and the URL it leads to.
///
/// # Errors
/// As [`parse`].
pub fn under(text: &str, typed: LoadOptions) -> Result<(LoadOptions, String), CurlError> {
    let Curl { url, mut options } = parse(text)?;
    if typed.auth.is_some() {
        // Both say who asks, in different options.
        options.header.retain(|known| !is_named(known, "authorization"));
    }
    Ok((typed.over(options), url))
}

/// A command, understood.
#[derive(Debug, Default, PartialEq)]
pub struct Curl {
    /// Where it leads.
    pub url: String,
    /// What it says beside that.
    pub options: LoadOptions,
}

/// Why a command cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CurlError {
    #[error("--curl takes a whole command: it begins with `curl`, not with `{0}`")]
    NotCurl(String),
    #[error("the curl command ends within a quotation that {0} began")]
    Unclosed(&'static str),
    #[error("the curl command is written for another shell (`^`): copy it as cURL (bash)")]
    Cmd,
    #[error("{0} of the curl command lacks its value")]
    Value(String),
    #[error("{0} of the curl command changes what is sent in a way that loadgen does not know: leave it out")]
    Unknown(String),
    #[error("the curl command has no URL")]
    NoUrl,
    #[error("the curl command has two URLs, `{0}` and `{1}`: give one")]
    TwoUrls(String, String),
    #[error("{0} of the curl command wants {1}")]
    Wrong(String, &'static str),
    #[error("{0} of the curl command: {1}")]
    Address(&'static str, AddressError),
    #[error("cannot read {1}, which {0} of the curl command names: {2}")]
    File(String, String, String),
}

/// A time as curl takes it.
fn seconds(name: &str, value: &str) -> Result<Duration, CurlError> {
    let seconds = value.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| CurlError::Wrong(name.to_owned(), "a number of seconds"))
}

/// How a value is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Value,
    Nothing,
}

/// Options that change nothing of a request: they decide what curl shows and keeps.
const HARMLESS: &[(&str, Takes)] = &[
    ("-s", Takes::Nothing),
    ("--silent", Takes::Nothing),
    ("-S", Takes::Nothing),
    ("--show-error", Takes::Nothing),
    ("-v", Takes::Nothing),
    ("--verbose", Takes::Nothing),
    ("-i", Takes::Nothing),
    ("--include", Takes::Nothing),
    ("--show-headers", Takes::Nothing),
    ("-f", Takes::Nothing),
    ("--fail", Takes::Nothing),
    ("--fail-with-body", Takes::Nothing),
    ("-N", Takes::Nothing),
    ("--no-buffer", Takes::Nothing),
    ("-#", Takes::Nothing),
    ("--progress-bar", Takes::Nothing),
    ("--no-progress-meter", Takes::Nothing),
    ("-O", Takes::Nothing),
    ("--remote-name", Takes::Nothing),
    ("-o", Takes::Value),
    ("--output", Takes::Value),
    ("-w", Takes::Value),
    ("--write-out", Takes::Value),
    ("-D", Takes::Value),
    ("--dump-header", Takes::Value),
    ("-g", Takes::Nothing),
    ("--globoff", Takes::Nothing),
];

/// Options with a meaning here: their letters and words, and whether a value follows.
const KNOWN: &[(&str, &str, Takes)] = &[
    ("-X", "--request", Takes::Value),
    ("-H", "--header", Takes::Value),
    ("-d", "--data", Takes::Value),
    ("", "--data-ascii", Takes::Value),
    ("", "--data-raw", Takes::Value),
    ("", "--data-binary", Takes::Value),
    ("", "--data-urlencode", Takes::Value),
    ("", "--json", Takes::Value),
    ("-b", "--cookie", Takes::Value),
    ("-u", "--user", Takes::Value),
    ("-A", "--user-agent", Takes::Value),
    ("-e", "--referer", Takes::Value),
    ("", "--compressed", Takes::Nothing),
    ("-G", "--get", Takes::Nothing),
    ("-I", "--head", Takes::Nothing),
    ("-L", "--location", Takes::Nothing),
    ("-m", "--max-time", Takes::Value),
    ("", "--url", Takes::Value),
    ("-k", "--insecure", Takes::Nothing),
    ("", "--cacert", Takes::Value),
    ("-E", "--cert", Takes::Value),
    ("", "--key", Takes::Value),
    ("", "--http1.1", Takes::Nothing),
    ("", "--http2", Takes::Nothing),
    ("", "--http2-prior-knowledge", Takes::Nothing),
    ("-x", "--proxy", Takes::Value),
    ("", "--resolve", Takes::Value),
    ("", "--connect-to", Takes::Value),
    ("", "--connect-timeout", Takes::Value),
    ("", "--unix-socket", Takes::Value),
];

/// Reads a command.
///
/// # Errors
/// When it is no command of curl, or one of its options would change the request in a way that is not known here.
pub fn parse(text: &str) -> Result<Curl, CurlError> {
    let mut words = words::split(text)?.into_iter();
    let first = words.next().unwrap_or_default();
    if first != "curl" && !first.ends_with("/curl") {
        return Err(CurlError::NotCurl(first));
    }
    // What curl does unless it is told otherwise.
    let options =
        LoadOptions { disable_compression: true, disable_redirects: true, ..LoadOptions::default() };
    let mut command = Command { options, ..Command::default() };
    let mut only_urls = false;
    while let Some(word) = words.next() {
        if only_urls || !word.starts_with('-') || word == "-" {
            command.set_url(word)?;
        } else if word == "--" {
            only_urls = true;
        } else if word.starts_with("--") {
            let (name, takes) = long(&word)?;
            let value = if takes == Takes::Value {
                words.next().ok_or(CurlError::Value(word))?
            } else {
                String::new()
            };
            command.set(name, value)?;
        } else {
            command.set_letters(&word, &mut words)?;
        }
    }
    command.finish()
}

fn long(word: &str) -> Result<(&'static str, Takes), CurlError> {
    let known = KNOWN.iter().find(|(_, long, _)| *long == word).map(|(_, long, takes)| (*long, *takes));
    let harmless = HARMLESS.iter().find(|(name, _)| *name == word).map(|(_, takes)| ("", *takes));
    known.or(harmless).ok_or_else(|| CurlError::Unknown(word.to_owned()))
}

/// What was read of a command so far.
#[derive(Debug, Default)]
struct Command {
    url: Option<String>,
    options: LoadOptions,
    method: Option<String>,
    /// Pieces of the body, joined with `&` in the end.
    data: Vec<String>,
    is_json: bool,
    is_get: bool,
    is_head: bool,
}

impl Command {
    /// Several letters in one word, of which the last may have its value at once: `-sSLXPOST`.
    fn set_letters(&mut self, word: &str, words: &mut impl Iterator<Item = String>) -> Result<(), CurlError> {
        let letters = word[1..].char_indices();
        for (place, letter) in letters {
            let name = format!("-{letter}");
            let known =
                KNOWN.iter().find(|(short, ..)| *short == name).map(|(_, long, takes)| (*long, *takes));
            let harmless = HARMLESS.iter().find(|(short, _)| *short == name).map(|(_, takes)| ("", *takes));
            let (long, takes) = known.or(harmless).ok_or_else(|| CurlError::Unknown(name.clone()))?;
            if takes == Takes::Nothing {
                self.set(long, String::new())?;
                continue;
            }
            let rest = &word[1 + place + letter.len_utf8()..];
            let value =
                if rest.is_empty() { words.next().ok_or(CurlError::Value(name))? } else { rest.to_owned() };
            return self.set(long, value);
        }
        Ok(())
    }

    fn set_url(&mut self, url: String) -> Result<(), CurlError> {
        if let Some(known) = &self.url {
            return Err(CurlError::TwoUrls(known.clone(), url));
        }
        self.url = Some(url);
        Ok(())
    }

    fn set(&mut self, name: &'static str, value: String) -> Result<(), CurlError> {
        let own = || name.to_owned();
        match name {
            "--request" => self.method = Some(value),
            "--header" => self.header(&value)?,
            "--data" | "--data-ascii" => match value.strip_prefix('@') {
                // As curl: a file's line ends are taken out.
                Some(file) => {
                    let text = read(name, file)?;
                    self.data.push(text.replace(['\r', '\n'], ""));
                }
                None => self.data.push(value),
            },
            "--data-raw" => self.data.push(value),
            "--data-binary" => match value.strip_prefix('@') {
                Some(file) => self.data.push(read(name, file)?),
                None => self.data.push(value),
            },
            "--data-urlencode" => self.data.push(urlencoded(&value)?),
            "--json" => {
                self.is_json = true;
                // Several are one text, one behind the other.
                let text =
                    value.strip_prefix('@').map_or_else(|| Ok(value.clone()), |file| read(name, file))?;
                match self.data.last_mut() {
                    Some(last) => last.push_str(&text),
                    None => self.data.push(text),
                }
            }
            "--cookie" if value.contains('=') => self.options.header.push(format!("Cookie: {value}")),
            "--cookie" => {
                return Err(CurlError::Wrong(
                    own(),
                    "cookies like name=value; it reads no file of them here",
                ));
            }
            "--user" if value.contains(':') => self.options.auth = Some(value),
            "--user" => {
                return Err(CurlError::Wrong(own(), "user:password; nobody is asked for the password here"));
            }
            "--user-agent" => self.options.user_agent = Some(value),
            "--referer" => {
                self.options
                    .header
                    .push(format!("Referer: {}", value.strip_suffix(";auto").unwrap_or(&value)));
            }
            "--compressed" => self.options.disable_compression = false,
            "--get" => self.is_get = true,
            "--head" => self.is_head = true,
            "--location" => self.options.disable_redirects = false,
            "--max-time" => {
                let time = seconds(name, &value)?;
                self.options.timeout = Some(Timeout((!time.is_zero()).then_some(time)));
            }
            "--url" => self.set_url(value)?,
            _ => self.set_route(name, &value)?,
        }
        Ok(())
    }

    /// What is about the way to the server.
    fn set_route(&mut self, name: &'static str, value: &str) -> Result<(), CurlError> {
        let options = &mut self.options;
        let wrong = |error: AddressError| CurlError::Address(name, error);
        match name {
            "--insecure" => options.insecure = true,
            "--cacert" => options.cacert = Some(value.into()),
            "--cert" => options.cert = Some(value.into()),
            "--key" => options.key = Some(value.into()),
            "--http1.1" => options.http1 = true,
            "--http2" => options.http2 = true,
            "--http2-prior-knowledge" => options.h2c = true,
            "--proxy" => options.proxy = Some(value.parse().map_err(wrong)?),
            "--resolve" => options.resolve.push(value.parse().map_err(wrong)?),
            "--connect-to" => options.connect_to.push(value.parse().map_err(wrong)?),
            "--connect-timeout" => options.connect_timeout = Some(Span(seconds(name, value)?)),
            "--unix-socket" => options.unix_socket = Some(value.into()),
            _ => {}
        }
        Ok(())
    }

    /// `Name: value`. In curl, `Name:` takes a field out that it would send itself, and `Name;` sends an empty one.
    fn header(&mut self, field: &str) -> Result<(), CurlError> {
        if field.starts_with('@') {
            return Err(CurlError::Wrong("--header".to_owned(), "a field; it reads no file of them here"));
        }
        match field.split_once(':') {
            Some((name, value)) if value.trim().is_empty() => {
                self.options.header.retain(|known| !is_named(known, name));
            }
            // Where there is a flag for it, it is set as if by that flag.
            Some((name, value)) if name.eq_ignore_ascii_case("user-agent") => {
                self.options.user_agent = Some(value.trim().to_owned());
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-type") => {
                self.options.content_type = Some(value.trim().to_owned());
            }
            Some((name, value)) if name.eq_ignore_ascii_case("host") => {
                self.options.host = Some(value.trim().to_owned());
            }
            Some(_) => self.options.header.push(field.to_owned()),
            None => match field.strip_suffix(';') {
                Some(name) => self.options.header.push(format!("{name}:")),
                None => return Err(CurlError::Wrong("--header".to_owned(), "a field like \"Name: value\"")),
            },
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Curl, CurlError> {
        let mut url = self.url.take().ok_or(CurlError::NoUrl)?;
        // As curl, which takes a name alone for http.
        if !url.contains("://") {
            url = format!("http://{url}");
        }
        let data = (!self.data.is_empty()).then(|| self.data.join("&"));
        let mut options = self.options;
        let has = |name: &str| options.header.iter().any(|known| is_named(known, name));
        if !has("accept") {
            let accept = format!("Accept: {}", if self.is_json { "application/json" } else { "*/*" });
            options.header.insert(0, accept);
        }
        let content_type = match (&data, self.is_json) {
            (Some(_), _) if self.is_get => "",
            (Some(_), true) => "application/json",
            (Some(_), false) => "application/x-www-form-urlencoded",
            (None, _) => "",
        };
        options.content_type.get_or_insert_with(|| content_type.to_owned());
        let method = match (&data, self.is_get, self.is_head) {
            (_, _, true) => "HEAD",
            (Some(_), false, false) => "POST",
            _ => "GET",
        };
        options.method = Some(self.method.unwrap_or_else(|| method.to_owned()));
        match data {
            Some(data) if self.is_get => {
                let (before, fragment) = url.split_once('#').unwrap_or((&url, ""));
                let joint = if before.contains('?') { '&' } else { '?' };
                let fragment = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
                url = format!("{before}{joint}{data}{fragment}");
            }
            data => options.body = data,
        }
        Ok(Curl { url, options })
    }
}

fn is_named(field: &str, name: &str) -> bool {
    field.split_once(':').is_some_and(|(known, _)| known.trim().eq_ignore_ascii_case(name.trim()))
}

fn read(option: &str, file: &str) -> Result<String, CurlError> {
    fs::read_to_string(file)
        .map_err(|error| CurlError::File(option.to_owned(), file.to_owned(), report::os::why(&error)))
}

/// `content`, `=content`, `name=content`, `@file` or `name@file`, as curl has it.
fn urlencoded(value: &str) -> Result<String, CurlError> {
    let encode = |text: &str| percent_encode(text.as_bytes(), FORM).to_string();
    match value.find(['=', '@']) {
        None => Ok(encode(value)),
        Some(place) => {
            let (name, rest) = (&value[..place], &value[place + 1..]);
            let content = if value.as_bytes()[place] == b'@' {
                read("--data-urlencode", rest)?
            } else {
                rest.to_owned()
            };
            let content = encode(&content);
            Ok(if name.is_empty() { content } else { format!("{name}={content}") })
        }
    }
}

#[cfg(test)]
#[path = "curl/tests.rs"]
mod tests;
