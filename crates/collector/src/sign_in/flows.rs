//! How to sign in: the OAuth 2.0 flow that the configuration chose, and the form that it sends for a token.
//!
//! | flow | what it needs | source |
//! |---|---|---|
//! | `jwt-bearer` | a key whose certificate the app holds, and a user | "OAuth 2.0 JWT Bearer Flow", Salesforce Help |
//! | `client-credentials` | the app's secret; the app names the user; at My Domain alone | "OAuth 2.0 Client Credentials Flow" |
//! | `username-password` | the app's secret and a user's password; blocked by default | "OAuth 2.0 Username-Password Flow" |
//!
//! All of them answer a token without a lifetime, so the session knows nothing of flows.

use crate::{
    address::{Origin, PRODUCTION, SANDBOX, form_encode},
    problem::{Kind, Problem},
    schema::{
        Checked, Flaw, Key, Shape, Variant,
        texts::{LINE_BREAKS, any_secret, password, secret_word, word},
    },
    secret::{Secret, is_blank},
    sign_in::key::PrivateKey,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use documents::time::Time;
use serde_json::json;

/// The URL of a token endpoint.
fn token_url(text: &str) -> Result<(), Flaw> {
    Origin::parse_token_url(text).map(|_| ())
}

/// The audience is compared by Salesforce as text; it need not be a host that is ever contacted.
fn audience(text: &str) -> Result<(), Flaw> {
    if text.trim().starts_with("https://") || Origin::parse(text).is_ok() {
        return Ok(());
    }
    Err(Flaw::with_hint(
        "must be an https:// URL",
        "use \"https://login.salesforce.com\", or test for sandboxes",
    ))
}

const CLIENT_ID: Key = Key::required(
    "client_id",
    Shape::Text(word),
    "The consumer key of the external client app or connected app.",
);
const CLIENT_SECRET: Key =
    Key::required("client_secret", Shape::Secret(secret_word), "The consumer secret of the app.");
const TOKEN_URL: Key = Key::optional(
    "token_url",
    Shape::Text(token_url),
    "Where to ask for tokens: a host, or the full endpoint. The instance_url if left out.",
);

/// The table `auth`.
pub const AUTH: Shape = Shape::Choice {
    tag: &Key::required(
        "flow",
        Shape::OneOf(&["jwt-bearer", "client-credentials", "username-password"]),
        "The OAuth 2.0 flow.",
    ),
    variants: &[
        Variant {
            name: "jwt-bearer",
            about: "Signs in as a user with a key whose certificate the app holds.",
            keys: &[
                CLIENT_ID,
                Key::required(
                    "username",
                    Shape::Text(word),
                    "The user to sign in as, pre-authorised for the app.",
                ),
                Key::required(
                    "private_key",
                    Shape::Secret(any_secret),
                    "The RSA private key, in PEM form, whose certificate the app holds. PKCS#1 or PKCS#8.",
                ),
                Key::optional(
                    "private_key_passphrase",
                    Shape::Secret(any_secret),
                    "What an encrypted private key (-----BEGIN ENCRYPTED PRIVATE KEY-----) is decrypted with.",
                ),
                Key::optional(
                    "audience",
                    Shape::Text(audience),
                    "The audience of the assertion: https://login.salesforce.com, https://test.salesforce.com for sandboxes \
                     and scratch orgs, or the address of an Experience Cloud site. If left out, the second where the address \
                     of the org is one of a sandbox or scratch org, else the first.",
                ),
                TOKEN_URL,
            ],
        },
        Variant {
            name: "client-credentials",
            about: "Signs in as the user that the app names for this flow.",
            keys: &[CLIENT_ID, CLIENT_SECRET, TOKEN_URL],
        },
        Variant {
            name: "username-password",
            about: "Signs in with a user's password. Salesforce blocks this flow by default.",
            keys: &[
                CLIENT_ID,
                CLIENT_SECRET,
                Key::required("username", Shape::Text(word), "The user to sign in as."),
                Key::required("password", Shape::Secret(password), "The user's password."),
                Key::optional(
                    "security_token",
                    Shape::Secret(secret_word),
                    "The user's security token, needed from networks that the org does not trust. Sent behind the password.",
                ),
                TOKEN_URL,
            ],
        },
    ],
};

/// Who signs in, where, and how.
pub struct Auth {
    /// Consumer key of the app.
    pub client_id: String,
    /// Where to ask for tokens.
    pub token_host: Origin,
    flow: Flow,
}

enum Flow {
    JwtBearer {
        username: String,
        private_key: Box<PrivateKey>,
        audience: String,
    },
    ClientCredentials {
        client_secret: Secret,
    },
    /// The password has the security token behind it.
    UsernamePassword {
        client_secret: Secret,
        username: String,
        password: Secret,
    },
}

/// What is sent for a token.
pub struct Form {
    /// In `application/x-www-form-urlencoded`.
    pub body: Secret,
    /// The secrets in it, as they are and as they travel: what an answer may repeat.
    pub secrets: Vec<Secret>,
}

impl Auth {
    /// Reads a table that was checked. `instance_url` is where tokens are asked for if it names no other host.
    pub fn read(table: Checked<'_>, instance_url: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let secret = |name: &str| {
            table
                .text(name)
                .map(|text| text.trim_matches(is_blank))
                .filter(|text| !text.is_empty())
                .map(|text| Secret::new(text.to_owned()))
        };
        let text = |name: &str| Some(table.text(name)?.trim_matches(is_blank).to_owned());
        let token_host = Origin::parse_token_url(table.text("token_url").unwrap_or(instance_url)).ok();
        let flow = match table.text("flow")? {
            "jwt-bearer" => {
                let passphrase = table.text("private_key_passphrase");
                let passphrase =
                    passphrase.map(|text| Secret::new(text.trim_matches(LINE_BREAKS).to_owned()));
                let private_key = match PrivateKey::from_pem(&secret("private_key")?, passphrase.as_ref()) {
                    Ok(key) => key,
                    Err(problem) => {
                        problems.push(problem.at("auth.private_key"));
                        return None;
                    }
                };
                Flow::JwtBearer {
                    username: text("username")?,
                    private_key: Box::new(private_key),
                    audience: match text("audience") {
                        Some(audience) => audience.trim_end_matches('/').to_owned(),
                        None => {
                            let says = |origin: Option<&Origin>| origin.and_then(Origin::audience);
                            let instance = Origin::parse(instance_url).ok();
                            says(token_host.as_ref())
                                .or(says(instance.as_ref()))
                                .unwrap_or(PRODUCTION)
                                .to_owned()
                        }
                    },
                }
            }
            "client-credentials" => {
                if token_host.as_ref().is_some_and(Origin::is_login_host) {
                    let message =
                        "'token_url' does not serve the client-credentials flow: a My Domain address does";
                    problems.push(
                        Problem::new(Kind::Config, message)
                            .at("auth.token_url")
                            .hint("leave token_url out; then the instance_url is used"),
                    );
                }
                Flow::ClientCredentials { client_secret: secret("client_secret")? }
            }
            _ => {
                let password = table.text("password")?.trim_matches(LINE_BREAKS);
                let mut whole = String::with_capacity(password.len() + 64);
                whole.push_str(password);
                whole.push_str(secret("security_token").as_ref().map_or("", Secret::reveal));
                Flow::UsernamePassword {
                    client_secret: secret("client_secret")?,
                    username: text("username")?,
                    password: Secret::new(whole),
                }
            }
        };
        Some(Self { client_id: text("client_id")?, token_host: token_host?, flow })
    }

    /// Name of the flow, as it stands in the configuration.
    pub fn flow(&self) -> &'static str {
        match self.flow {
            Flow::JwtBearer { .. } => "jwt-bearer",
            Flow::ClientCredentials { .. } => "client-credentials",
            Flow::UsernamePassword { .. } => "username-password",
        }
    }

    /// All that decides who signs in, part by part. Secrets are among them.
    pub fn identify(&self, tell: &mut dyn FnMut(&[u8])) {
        tell(self.flow().as_bytes());
        tell(self.client_id.as_bytes());
        tell(self.token_host.to_string().as_bytes());
        match &self.flow {
            Flow::JwtBearer { username, private_key, audience } => {
                tell(username.as_bytes());
                tell(&private_key.modulus());
                tell(audience.as_bytes());
            }
            Flow::ClientCredentials { client_secret } => tell(client_secret.reveal().as_bytes()),
            Flow::UsernamePassword { client_secret, username, password } => {
                tell(client_secret.reveal().as_bytes());
                tell(username.as_bytes());
                tell(password.reveal().as_bytes());
            }
        }
    }

    /// What is allowed and probably not meant.
    pub fn warning(&self) -> Option<Problem> {
        matches!(self.flow, Flow::UsernamePassword { .. }).then(|| {
            Problem::new(Kind::Config, "Salesforce blocks the username-password flow by default")
                .at("auth.flow")
                .hint(
                    "use client-credentials or jwt-bearer; or switch it on in Setup, OAuth and OpenID Connect Settings, Allow \
                     OAuth Username-Password Flows",
                )
        })
    }

    /// Whose users the addresses are for, where that does not fit together.
    pub fn audience_warning(&self, instance: &Origin) -> Option<Problem> {
        let warning = |path: &str, message: String, hint: String| {
            Some(Problem::new(Kind::Config, message).at(path).hint(hint))
        };
        let (asked, org) = (self.token_host.audience(), instance.audience());
        if let (Some(asked), Some(org)) = (asked, org)
            && asked != org
        {
            let message = format!("{instance} is a sandbox, and {} does not know its users", self.token_host);
            let hint = format!("leave token_url out, or set it to \"{org}\"");
            return warning("auth.token_url", message, hint);
        }
        let Flow::JwtBearer { audience, .. } = &self.flow else { return None };
        match asked.or(org) {
            // Who names another one means it.
            Some(right) if audience != right && [PRODUCTION, SANDBOX].contains(&audience.as_str()) => {
                let whose = if right == SANDBOX { "a sandbox or scratch org" } else { "a production org" };
                let host = if asked.is_some() { &self.token_host } else { instance };
                let message = format!("the audience is {audience}, and {host} is the address of {whose}");
                warning("auth.audience", message, format!("set it to \"{right}\", or leave it out"))
            }
            None if audience == PRODUCTION && instance.may_be_sandbox() => {
                let message = format!("the audience is {audience}, and {instance} looks like a sandbox");
                warning("auth.audience", message, format!("if it is one, set audience to \"{SANDBOX}\""))
            }
            _ => None,
        }
    }

    /// Whether the flow's assertion has a time in it, so that a wrong clock can be why it was refused.
    pub fn depends_on_clock(&self) -> bool {
        matches!(self.flow, Flow::JwtBearer { .. })
    }

    /// What to send for a token. `expires` is the time up to which an assertion is good.
    pub fn form(&self, expires: Time) -> Result<Form, Problem> {
        let mut form = FormWriter::default();
        match &self.flow {
            Flow::JwtBearer { username, private_key, audience } => {
                let claims = json!({
                    "iss": self.client_id,
                    "sub": username,
                    "aud": audience,
                    "exp": expires.0 / 1000,
                });
                form.add("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.add_secret("assertion", &assertion(&claims.to_string(), private_key)?);
            }
            Flow::ClientCredentials { client_secret } => {
                form.add("grant_type", "client_credentials");
                form.add("client_id", &self.client_id);
                form.add_secret("client_secret", client_secret);
            }
            Flow::UsernamePassword { client_secret, username, password } => {
                form.add("grant_type", "password");
                form.add("client_id", &self.client_id);
                form.add_secret("client_secret", client_secret);
                form.add("username", username);
                form.add_secret("password", password);
            }
        }
        Ok(form.finish())
    }
}

/// The assertion of RFC 7523: claims that Salesforce reads, signed.
fn assertion(claims: &str, key: &PrivateKey) -> Result<Secret, Problem> {
    let unsigned =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(&unsigned)?;
    Ok(Secret::new(format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// Writes a form. Each part is made in its final size: a buffer that grows would leave copies of secrets behind.
#[derive(Default)]
struct FormWriter {
    parts: Vec<Secret>,
    secrets: Vec<Secret>,
}

impl FormWriter {
    fn add(&mut self, name: &str, value: &str) {
        let mut part = String::with_capacity(2 + name.len() + 3 * value.len());
        if !self.parts.is_empty() {
            part.push('&');
        }
        part.push_str(name);
        part.push('=');
        form_encode(value, &mut part);
        self.parts.push(Secret::new(part));
    }

    fn add_secret(&mut self, name: &str, value: &Secret) {
        self.add(name, value.reveal());
        let mut escaped = String::with_capacity(3 * value.reveal().len());
        form_encode(value.reveal(), &mut escaped);
        self.secrets.extend([value.clone(), Secret::new(escaped)]);
    }

    fn finish(self) -> Form {
        let mut body = String::with_capacity(self.parts.iter().map(|part| part.reveal().len()).sum());
        self.parts.iter().for_each(|part| body.push_str(part.reveal()));
        Form { body: Secret::new(body), secrets: self.secrets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_escapes_what_stands_in_passwords() {
        let mut form = FormWriter::default();
        form.add("grant_type", "password");
        form.add_secret("password", &Secret::new(String::from("a&b=c+d %é")));
        let form = form.finish();
        assert_eq!(form.body.reveal(), "grant_type=password&password=a%26b%3Dc%2Bd+%25%C3%A9");
        let known: Vec<&str> = form.secrets.iter().map(Secret::reveal).collect();
        assert_eq!(known, ["a&b=c+d %é", "a%26b%3Dc%2Bd+%25%C3%A9"]);
    }
}
