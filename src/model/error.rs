//! What went wrong, sorted by what the caller must do about it.

use std::error::Error as StdError;

/// The result of an operation that can fail as a whole.
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller must do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Try again later; nothing is wrong with the request.
    Transient,
    /// The service asks for fewer requests, and did not carry this one out; send it again, after a pause.
    Busy,
    /// Somebody else changed the state first; look at it again.
    Conflict,
    /// An object that somebody named is not there, or not yet; look for it again for a while.
    Missing,
    /// The input will never be accepted; do not try again.
    Malformed,
    /// A policy does not allow it, or not yet; try for a while, then a person must act.
    Denied,
    /// The deployment is set up wrongly; a person must act.
    Config,
    /// A rule of fanfold's own was broken; a defect.
    Internal,
}

/// An error with its kind, a message that says what to do, and its cause.
#[derive(Debug, thiserror::Error)]
#[error("{message}{}", Cause(.source.as_deref()))]
pub struct Error {
    /// What the caller must do.
    pub kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of any kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// See [`ErrorKind::Transient`].
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, message)
    }

    /// See [`ErrorKind::Busy`].
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Busy, message)
    }

    /// See [`ErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// See [`ErrorKind::Missing`].
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Missing, message)
    }

    /// See [`ErrorKind::Malformed`].
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    /// See [`ErrorKind::Denied`].
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    /// See [`ErrorKind::Config`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// See [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Whether the error may pass within minutes, although nobody does anything: an object may not be readable everywhere
    /// yet, and neither may a policy be in force
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>).
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, ErrorKind::Missing | ErrorKind::Denied)
    }

    /// A copy of the error, for another caller that waited for the same result.
    pub fn again(&self) -> Self {
        Self::new(self.kind, self.to_string())
    }

    /// Adds the error that caused this one.
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Appends the chain of causes to a message, since a log line holds one string.
struct Cause<'a>(Option<&'a (dyn StdError + Send + Sync)>);

impl std::fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut next = self.0.map(|cause| cause as &dyn StdError);
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_holds_its_cause() {
        let cause = std::io::Error::other("connection reset");
        let error = Error::transient("could not read input").because(cause);
        assert_eq!(error.to_string(), "could not read input: connection reset");
        assert_eq!(error.kind, ErrorKind::Transient);
    }
}
