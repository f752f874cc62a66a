//! What is sent when many requests are: the lines of a file, under everything that was typed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use url::Url;

use super::PlanError;
use super::request::{headers, method, parse_url};
use crate::mix::{self, Line, MixError};
use crate::options::LoadOptions;
use crate::source::{Entry, Origin, POOLED_ORIGINS, Request, Source};

/// Requests are told apart by so many names, at most.
const NAMES: usize = 100;
/// The name of those that are not told apart.
const OTHER: &str = "other";

/// Many requests, resolved.
#[derive(Debug, PartialEq)]
pub struct Mix {
    /// File name and hash of the content.
    pub label: String,
    /// Hash of the content.
    pub hash: u64,
    /// Names under which requests are counted.
    pub names: Vec<String>,
    /// How many lines without a name of their own are counted under `other`, because they would need too many names.
    pub unnamed: usize,
    /// How many origins they go to, as far as connections to them are kept.
    pub origins: usize,
    /// Whether one of them speaks TLS.
    pub tls: bool,
    /// Whether one of them does not.
    pub plain: bool,
    /// What the order grows from.
    pub seed: u64,
    items: Vec<Item>,
}

/// One of them.
#[derive(Debug, PartialEq)]
struct Item {
    /// URL, or path and query under the plan's URL.
    target: Box<str>,
    method: Box<str>,
    given: Fields,
    body: Bytes,
    weight: u32,
    name: u16,
}

impl Mix {
    /// Reads a file and resolves its lines under `options`. `base`: where paths lead. Also gives the URL of the first.
    pub(super) fn resolve(
        path: &Path,
        base: Option<&Url>,
        options: &LoadOptions,
        seed: u64,
    ) -> Result<(Self, Url), PlanError> {
        let mix::Mix { name, hash, lines } = mix::read(path)?;
        let fallback = Fallback {
            method: method(options.method.as_deref().unwrap_or("GET"))?,
            body: super::request::body(options)?,
        };
        let names = Names::of(path, &lines, &fallback)?;
        let mut mix = Self {
            label: format!("{name} {hash:016x}"),
            hash,
            unnamed: if names.tells_unnamed_apart {
                0
            } else {
                lines.iter().filter(|line| line.name.is_none()).count()
            },
            names: Vec::new(),
            origins: 0,
            tls: false,
            plain: false,
            seed,
            items: Vec::with_capacity(lines.len()),
        };
        let mut first = None;
        let mut origins: Vec<Origin> = Vec::new();
        let mut shared: Option<(Credentials, Fields)> = None;
        for line in lines {
            let problem = |error: PlanError| MixError::at(path, line.number, &error);
            let url = locate(&line.target, base).map_err(problem)?;
            let credentials = (url.username().to_owned(), url.password().map(str::to_owned));
            let given = match &shared {
                Some((known, given)) if line.headers.is_empty() && *known == credentials => Arc::clone(given),
                _ => headers(&url, options, &line.headers).map_err(problem)?.into(),
            };
            if line.headers.is_empty() {
                shared = Some((credentials, Arc::clone(&given)));
            }
            let origin = Origin::of(&url);
            mix.tls |= origin.tls;
            mix.plain |= !origin.tls;
            if origins.len() < POOLED_ORIGINS && !origins.contains(&origin) {
                origins.push(origin);
            }
            let method = line
                .method
                .as_deref()
                .map_or_else(|| Ok(fallback.method.clone()), method)
                .map_err(problem)?;
            mix.items.push(Item {
                name: names.number(&line, &method),
                target: line.target.into(),
                method: method.into(),
                given,
                body: line.body.unwrap_or_else(|| fallback.body.clone()),
                weight: line.weight,
            });
            first.get_or_insert(url);
        }
        (mix.names, mix.origins) = (names.list, origins.len());
        let first = first.ok_or_else(|| MixError::of(path, &"holds no request"))?;
        Ok((mix, first))
    }

    /// What a reader of the result must know.
    pub fn note(&self) -> Option<String> {
        let unnamed = report::units::counted(self.unnamed as u64, "request");
        (self.unnamed > 0).then(|| {
            format!("the mix has {unnamed} without a name, counted as `{OTHER}`: more than {NAMES} paths are not told apart")
        })
    }

    /// Whether a line names a server of its own.
    pub(super) fn leaves(&self) -> bool {
        self.items.iter().any(|item| !is_path(&item.target))
    }

    /// Everything, ready for the wire.
    pub(super) fn source(&self, base: &Url, finish: impl Fn(Request) -> Request) -> Source {
        let mut entries: Vec<Entry> = Vec::with_capacity(self.items.len());
        for Item { target, method, given, body, weight, name } in &self.items {
            // Each was located when the plan was made.
            let url = locate(target, Some(base)).unwrap_or_else(|_| base.clone());
            let request = finish(Request::new(method, url, Arc::clone(given), body.clone()));
            let request = match entries.last() {
                Some(before) => request.beside(&before.request),
                None => request,
            };
            entries.push(Entry { request, weight: *weight, name: *name });
        }
        Source::many(entries, self.names.clone(), self.seed)
    }
}

/// Header fields, shared by those who have the same.
type Fields = Arc<[(String, String)]>;

/// User and password of a URL.
type Credentials = (String, Option<String>);

/// What a line has that does not say it: as the flags say.
struct Fallback {
    method: String,
    body: Bytes,
}

/// The names under which requests are counted.
struct Names {
    list: Vec<String>,
    /// Whether lines without a name have one made of method and path.
    tells_unnamed_apart: bool,
}

impl Names {
    fn of(path: &Path, lines: &[Line], fallback: &Fallback) -> Result<Self, PlanError> {
        let mut given = BTreeSet::new();
        for line in lines {
            if let Some(name) = &line.name {
                given.insert(name.as_str());
                if given.len() > NAMES {
                    let problem =
                        format!("`{name}` is one name too many: requests are counted under {NAMES} at most");
                    return Err(MixError::at(path, line.number, &problem).into());
                }
            }
        }
        let mut made = BTreeSet::new();
        for line in lines.iter().filter(|line| line.name.is_none()) {
            made.insert(made_name(line, line.method.as_deref().unwrap_or(&fallback.method)));
            if given.len() + made.len() > NAMES {
                let mut list: Vec<String> = given.into_iter().map(str::to_owned).collect();
                list.push(OTHER.to_owned());
                return Ok(Self { list, tells_unnamed_apart: false });
            }
        }
        made.extend(given.into_iter().map(str::to_owned));
        Ok(Self { list: made.into_iter().collect(), tells_unnamed_apart: true })
    }

    fn number(&self, line: &Line, method: &str) -> u16 {
        let last = self.list.len().saturating_sub(1);
        let place = match &line.name {
            None if !self.tells_unnamed_apart => last,
            Some(name) => self.list.iter().position(|known| known == name).unwrap_or(last),
            None => {
                let name = made_name(line, method);
                self.list.binary_search(&name).unwrap_or(last)
            }
        };
        u16::try_from(place).unwrap_or(u16::MAX)
    }
}

/// Method and path; of another server its URL. Without what differs from request to request, and without credentials.
fn made_name(line: &Line, method: &str) -> String {
    let target = line.target.split(['?', '#']).next().unwrap_or_default();
    let target = match target.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => target.to_owned(),
    };
    format!("{} {}", method.to_ascii_uppercase(), if target.is_empty() { "/" } else { &target })
}

fn is_path(target: &str) -> bool {
    target.starts_with(['/', '?']) && !target.starts_with("//")
}

/// Where a line leads.
fn locate(target: &str, base: Option<&Url>) -> Result<Url, PlanError> {
    if !is_path(target) {
        return parse_url(target);
    }
    let base = base.ok_or_else(|| PlanError::NoBase(target.to_owned()))?;
    base.join(target).map_err(|_| PlanError::Path(target.to_owned()))
}
