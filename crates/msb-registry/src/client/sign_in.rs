//! Verifying credentials.

use msb_oci::Reference;

use super::Client;
use super::ask::Ask;
use crate::error::{CredentialUse, Error};
use crate::host::RegistryHost;

impl Client {
    /// Verifies the credentials for `host` with the registry itself, without access to any repository.
    ///
    /// Returns [`CredentialUse::Sent`] if the registry accepts them, and [`CredentialUse::NotRequested`] if it did not ask for any.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`] and [`Error::Denied`] if it refuses them, and every fault of a request.
    pub async fn sign_in(&self, host: &RegistryHost) -> Result<CredentialUse, Error> {
        // Only the registry counts; its name was parsed as a host already.
        let reference: Reference =
            format!("{host}/sign-in")
                .parse()
                .map_err(|_| Error::RegistryUrl {
                    registry: msb_oci::Excerpt::new(host.as_str()),
                })?;
        let ask = Ask::sign_in(&reference);
        let mut retry = self.sender.new_retry();
        loop {
            match self.sign_in_once(&ask).await {
                Ok(credentials) => return Ok(credentials),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    async fn sign_in_once(&self, ask: &Ask<'_>) -> Result<CredentialUse, Error> {
        let mut candidates = self.sender.candidates(ask).await?;
        loop {
            let candidate = candidates.next()?;
            match self.sender.send_to(&candidate, ask).await {
                Ok((_, credentials)) => return Ok(credentials),
                Err(error) => candidates.fail(&candidate, error)?,
            }
        }
    }
}
