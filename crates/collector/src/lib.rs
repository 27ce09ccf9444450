//! Collects Salesforce logs.
