//! URLs whose path and query are templates.

use super::template::{Escape, Piece, Template, Values};

/// Where requests go: what a connection is made to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Whether by TLS.
    pub tls: bool,
    /// The name or address of the host; an address of IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// Reads the origin of a URL, and what follows it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<(Self, &str), String> {
        let (tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err("it must begin with https://, and with scheme and host in plain text".to_owned()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err("a name and password cannot stand before its host; give them in a header".to_owned());
        }
        let inside = authority.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match authority[inside..].split_once(':') {
            Some((before, port)) => (&authority[..inside + before.len()], Some(port)),
            None => (authority, None),
        };
        let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let fine = match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(name),
        };
        if !fine {
            return Err(format!("{host:?} is no host; fields can stand in its path and query only"));
        }
        let port = match port {
            None => Some(if tls { 443 } else { 80 }),
            Some(port) => port.parse().ok().filter(|port| *port != 0),
        };
        let port = port.ok_or_else(|| "its port must be a number from 1 to 65535".to_owned())?;
        Ok((Self { tls, host: host.to_ascii_lowercase(), port }, target))
    }

    /// Whether it is this computer.
    pub fn is_local(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "[::1]") || self.host.parse().is_ok_and(is_loopback)
    }

    /// What the `Host` header says.
    pub fn authority(&self) -> String {
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

fn is_loopback(address: std::net::Ipv4Addr) -> bool {
    address.is_loopback()
}

/// A URL whose path and query are templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    /// Where it leads.
    pub origin: Origin,
    pub(super) path: Template,
    pub(super) query: Option<Template>,
}

impl UrlTemplate {
    /// Reads a URL.
    ///
    /// # Errors
    /// Every problem of it.
    pub(super) fn parse(url: &str, insecure: bool) -> Result<Self, Vec<String>> {
        let (origin, target) = Origin::parse(url).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        if !origin.tls && !insecure && !origin.is_local() {
            problems.push("it is not encrypted; use https://, or \"insecure\": true if the network is safe".to_owned());
        }
        let template = Template::parse(target).unwrap_or_else(|found| {
            problems.extend(found);
            Template::default()
        });
        let (path, query) = parted(template);
        for piece in path.0.iter().chain(query.iter().flat_map(|query| &query.0)) {
            let Piece::Text(text) = piece else { continue };
            if text.contains('#') {
                problems.push("a fragment (#) is not sent; leave it out".to_owned());
            } else if let Some(bad) = text.chars().find(|c| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(*c)) {
                problems.push(format!("{:?} must be percent-encoded", bad.to_string()));
            }
        }
        if problems.is_empty() { Ok(Self { origin, path, query }) } else { Err(problems) }
    }

    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        [&self.path].into_iter().chain(&self.query)
    }

    /// The path and query of a record.
    ///
    /// # Errors
    /// Why the record has none. What would lead to another place than the template says is refused: an empty part of the
    /// path, and one that steps out of it.
    pub fn target(&self, values: &Values<'_>) -> Result<String, String> {
        let mut path = self.path.render(values, Escape::Percent)?;
        let varies = self.path.0.iter().any(|piece| matches!(piece, Piece::Value(_)));
        if varies && path.split('/').any(|part| matches!(part, "." | "..")) {
            return Err("its URL would leave its path, since a field is \".\" or \"..\"".to_owned());
        }
        if self.path.0.iter().any(|piece| self.is_empty(piece, values)) {
            return Err("its URL would lack a part of its path, since a field is empty".to_owned());
        }
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        if let Some(query) = &self.query {
            path.push('?');
            path.push_str(&query.render(values, Escape::Percent)?);
        }
        Ok(path)
    }

    fn is_empty(&self, piece: &Piece, values: &Values<'_>) -> bool {
        let Piece::Value(_) = piece else { return false };
        Template(vec![piece.clone()]).render(values, Escape::Percent).is_ok_and(|text| text.is_empty())
    }
}

/// Path and query, which the first question mark of the text parts.
fn parted(template: Template) -> (Template, Option<Template>) {
    let (mut path, mut query) = (Vec::new(), None::<Vec<Piece>>);
    for piece in template.0 {
        match (&mut query, piece) {
            (Some(query), piece) => query.push(piece),
            (None, Piece::Text(text)) => match text.split_once('?') {
                Some((before, after)) => {
                    path.push(Piece::Text(before.to_owned()));
                    query = Some(vec![Piece::Text(after.to_owned())]);
                }
                None => path.push(Piece::Text(text)),
            },
            (None, piece) => path.push(piece),
        }
    }
    (Template(path), query.map(Template))
}
