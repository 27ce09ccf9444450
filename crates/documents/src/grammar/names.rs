//! Names of columns, types and objects as names of fields.

/// `LOGIN_KEY`, `LoginKey`, `CreatedBy.Name` and `ApexRestApi` as `login_key`, `login_key`, `created_by_name` and
/// `apex_rest_api`. What is neither letter nor digit becomes `_`.
pub fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (at, c) in characters.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            out.push('_');
            continue;
        }
        // A word begins at a capital after a small letter or digit, and at the last capital before a small letter.
        let before = at.checked_sub(1).map(|at| characters[at]);
        let after = characters.get(at + 1);
        let begins = c.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || (before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
                    || (before.is_ascii_digit() && after.is_some_and(char::is_ascii_lowercase))
            });
        if begins {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn names_of_columns_types_and_fields_become_snake_case() {
        for (name, expected) in [
            ("LOGIN_KEY", "login_key"),
            ("LoginKey", "login_key"),
            ("ApexRestApi", "apex_rest_api"),
            ("CreatedBy.Name", "created_by_name"),
            ("SetupAuditTrail", "setup_audit_trail"),
            ("URI", "uri"),
            ("URIEvent", "uri_event"),
            ("BulkApi2", "bulk_api2"),
            ("Custom__c", "custom__c"),
            ("CSPViolation", "csp_violation"),
            ("TLS_1.2 é", "tls_1_2__"),
            ("", ""),
        ] {
            assert_eq!(snake_case(name), expected, "{name}");
        }
    }
}
