//! What need not stand in a state.

/// Whether a value is what is read where nothing stands.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
