//! Who is let in.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::problem::{Problem, Result};

/// The header that names an action, so that it is done once.
pub const KEY: &str = "idempotency-key";

/// Who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// Whoever is on this machine: requests to a loopback name or address.
    Loopback,
    /// Whoever has the token.
    Token(String),
    /// Whoever a gateway let in, which says so with [`Vouched`].
    Gateway,
}

/// Marks a request, among its extensions, that a gateway has authorised, and says whose it is.
#[derive(Debug, Clone)]
pub struct Vouched(pub Arc<str>);

impl Door {
    fn admits(&self, headers: &HeaderMap, vouched: bool) -> Result<()> {
        match self {
            Self::Loopback => {
                let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
                if is_loopback(host) {
                    return Ok(());
                }
                Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    "only requests to localhost are answered; start `fanfold serve` with a token for others",
                ))
            }
            Self::Gateway if vouched => Ok(()),
            Self::Gateway => {
                let wanted =
                    "nobody has authorised the request; sign it with IAM, or give a JWT, as the API was deployed";
                Err(Problem::new(StatusCode::UNAUTHORIZED, wanted))
            }
            Self::Token(token) => {
                let given = headers.get(AUTHORIZATION).and_then(|given| given.to_str().ok());
                let given = given.and_then(|given| given.strip_prefix("Bearer ")).unwrap_or_default();
                // How long a comparison of digests takes tells nothing about the token.
                if Sha256::digest(given) == Sha256::digest(token) {
                    return Ok(());
                }
                let wanted = "give the token that the server was started with, as `Authorization: Bearer TOKEN`";
                Err(Problem::new(StatusCode::UNAUTHORIZED, wanted))
            }
        }
    }
}

/// Whether a `Host` names this machine as it sees itself.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub async fn authorised(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let vouched = request.extensions().get::<Vouched>().is_some();
    let admitted = door.admits(request.headers(), vouched).and_then(|()| {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let key = request.headers().get(KEY).and_then(|key| key.to_str().ok());
        if reads || key.is_some_and(|key| !key.trim().is_empty()) {
            return Ok(());
        }
        Err(Problem::bad("give the action a key, as `Idempotency-Key: any text that no other action has`"))
    });
    match admitted {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_told_from_others() {
        for host in ["localhost", "localhost:8700", "127.0.0.1:1", "127.0.0.2", "[::1]:8700", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "example.com", "localhost.example.com:80", "10.0.0.1:80", "127.0.0.1.example.com", "[::2]:80"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
