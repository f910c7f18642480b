//! `fanfold serve`: the page and the API, on this machine.

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use clap::Args;

use crate::command::clients_of;
use crate::interrupt::GoesOn;
use crate::output::{line, note};
use fanfold::model::error::{Error, Result};
use fanfold_api::{Door, Pipelines, Sockets, router};
use fanfold_aws::deployment::Deployment;

/// The fewest characters of a token.
const SHORTEST: usize = 16;

/// Show batches in a browser, and act on them there, with your own credentials.
#[derive(Debug, Args)]
pub struct Serve {
    /// The port; 0 for any that is free.
    #[arg(long, default_value_t = 8700)]
    port: u16,
    /// The address to listen at; one that others can reach needs a token.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// What whoever asks has to give, as `Authorization: Bearer TOKEN`. It acts with your credentials: use HTTPS in front.
    #[arg(long, env = "FANFOLD_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl Serve {
    pub(super) async fn run(self, deployment: &Deployment, goes_on: &GoesOn) -> Result<ExitCode> {
        let door = self.door()?;
        let clients = clients_of(deployment).await?;
        let (pipelines, sockets) = (Pipelines::of(deployment, &clients), Sockets::of(deployment, &clients));
        let (address, port) = (self.listen, self.port);
        let listener = tokio::net::TcpListener::bind((address, port)).await;
        let listener = listener.map_err(|e| {
            Error::config(format!("could not listen at port {port}; choose another with --port")).because(e)
        })?;
        let bound = listener.local_addr().map_err(|e| Error::internal("a port without an address").because(e))?;
        let token = self.token.as_deref().map(|token| format!("#token={token}")).unwrap_or_default();
        goes_on.set("stopped; batches go on".to_owned());
        line(format_args!("http://{bound}/{token}"))?;
        note("Ctrl-C ends it");
        let served = axum::serve(listener, router(pipelines, sockets, door)).await;
        served.map_err(|e| Error::internal("the server ended").because(e))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Who is let in.
    fn door(&self) -> Result<Door> {
        match &self.token {
            Some(token) if token.len() < SHORTEST => Err(Error::config(format!(
                "a token has at least {SHORTEST} characters; `openssl rand -hex 16` makes one"
            ))),
            Some(token) => Ok(Door::Token(token.clone())),
            None if self.listen.is_loopback() => Ok(Door::Loopback),
            None => Err(Error::config(format!(
                "others could reach {}; give a token with --token or FANFOLD_TOKEN, or leave out --listen",
                self.listen
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_let_in_by_a_token_alone() {
        let door = |listen: &str, token: Option<&str>| {
            Serve { port: 0, listen: listen.parse().unwrap(), token: token.map(str::to_owned) }.door()
        };
        let token = "0123456789abcdef";
        assert_eq!(door("127.0.0.1", None).unwrap(), Door::Loopback);
        assert_eq!(door("::1", None).unwrap(), Door::Loopback);
        assert_eq!(door("0.0.0.0", Some(token)).unwrap(), Door::Token(token.to_owned()));
        assert_eq!(door("127.0.0.1", Some(token)).unwrap(), Door::Token(token.to_owned()));
        assert!(door("0.0.0.0", None).unwrap_err().to_string().contains("--token"));
        assert!(door("0.0.0.0", Some("")).unwrap_err().to_string().contains("16 characters"));
    }
}
