//! A record as a row of its object: its fields, the id of its event, and what is wrong with it.

use super::record::Record;
use super::{api, audit_trail, aura, login, of_attacks, report};
use crate::event_id::event_id;
use crate::faults::damage::{Damage, DamagedRecord, Strike, first_text, has_text};
use crate::json::record::{Form, write_record};
use crate::json::value::text_of;
use crate::objects::stored::{Kind, StoredObject};
use crate::soql::object::{Row, Value};

impl Row for Record<'_> {
    fn value(&self, field: usize) -> Value<'_> {
        let field = &self.object.object().fields[field];
        if let Some(related) = field.related() {
            return self.of_user(related);
        }
        let name = field.name;
        if let Some(told) = self.told()
            && let Some((_, value)) = told.fields.iter().find(|(field, _)| *field == name)
        {
            return value.clone();
        }
        match self.object {
            StoredObject::LoginEvent | StoredObject::LogoutEvent | StoredObject::LoginHistory => {
                login::value(self, name)
            }
            StoredObject::ApiEvent | StoredObject::ApiAnomalyEventStore => api::value(self, name),
            StoredObject::ReportEvent => report::value(self, name),
            StoredObject::SetupAuditTrail => audit_trail::value(self, name),
            StoredObject::AuraRequestEventLog => aura::value(self, name),
            _ => of_attacks::value(self, name),
        }
    }
}

impl Record<'_> {
    /// A field of the user that a field of this record refers to, such as `CreatedBy.Name`.
    fn of_user(&self, (relationship, field): (&str, &str)) -> Value<'_> {
        let fields = self.object.object().fields;
        let lookup = fields.iter().position(|field| field.name.strip_suffix("Id") == Some(relationship));
        let Some(Value::Text(id)) = lookup.map(|index| self.value(index)) else { return Value::Null };
        self.records.catalogue.people().field_of(&id, field)
    }

    /// The record without damage, with all fields that `FIELDS(STANDARD)` gives.
    fn sound(&self) -> serde_json::Value {
        const VERSION: u32 = 65;
        let object = self.object.object();
        let standard: Vec<usize> =
            (0..object.fields.len()).filter(|index| object.fields[*index].related().is_none()).collect();
        let form = Form::of(self.object, VERSION, self.records.store.oddities.doubles);
        let mut json = Vec::new();
        write_record(self, object, &standard, &form, None, &mut json);
        serde_json::from_slice(&json).unwrap_or_default()
    }

    /// What is wrong with it, and what it is without that.
    pub(crate) fn damaged(&self) -> Option<DamagedRecord> {
        let Strike { how, field } = self.records.damage(self.object, self.origin)?;
        let (key, fields) = (self.object.key(), self.object.object().fields);
        let index = |name: &str| fields.iter().position(|field| field.name == name);
        let field = match how {
            Damage::Record(_) => None,
            Damage::Value { field, .. } => Some(index(field)?),
            Damage::NullDate | Damage::UnreadableDate => Some(self.object.date()),
            Damage::MissingKey | Damage::NullKey => Some(index(key)?),
            Damage::LoneSurrogate | Damage::ControlCharacter | Damage::NotUtf8 => {
                let all: Vec<usize> = (0..fields.len()).collect();
                let of_choice = || first_text(self, self.object.object(), &all, key);
                let text = field.map_or_else(of_choice, index)?;
                Some(text).filter(|text| has_text(self, *text)).map(Some)?
            }
        };
        let field = field.map(|index| fields[index].name.to_owned());
        // A record without a key of its own has all its fields for one.
        let keyless = self.object.kind() == Kind::EventLog;
        Some(DamagedRecord {
            event_id: self.event_id(),
            id_survives: !keyless && field.as_deref().is_some_and(|field| field != key),
            number: self.records.number(self.object, self.origin)?,
            date: self.date,
            how: how.clone(),
            field,
            sound: self.sound(),
        })
    }

    /// The `event.id` that a collection gives it.
    pub(crate) fn event_id(&self) -> String {
        match self.object.kind() {
            Kind::Big => self.identifier().to_owned(),
            Kind::Ordinary => {
                let host = &self.records.store.host;
                let columns = [("Id", self.id()), ("host", host), ("object", self.object.name())];
                event_id(columns.map(|(name, value)| (name, value.as_bytes()))).to_string()
            }
            Kind::EventLog => {
                let fields = self.object.object().fields.iter().enumerate();
                let texts: Vec<(&str, String)> = fields
                    .filter_map(|(index, field)| {
                        Some((field.name, text_of(&self.value(index), self.records.store.oddities.doubles)?))
                    })
                    .collect();
                event_id(texts.iter().map(|(name, text)| (*name, text.as_bytes()))).to_string()
            }
        }
    }
}
