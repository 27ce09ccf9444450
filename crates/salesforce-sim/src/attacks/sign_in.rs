//! Attacks on the door.

use super::scene::{ATTACKER, Scene};

pub(super) fn password_spraying(scene: &mut Scene<'_>) {
    for n in 0..12 {
        let user = scene.user(140 + 7 * n);
        scene.login(&user, ATTACKER, "LOGIN_ERROR_INVALID_PASSWORD", &[]);
        scene.wait(20);
    }
    let user = scene.user(140 + 7 * 4);
    scene.login(&user, ATTACKER, "LOGIN_NO_ERROR", &[]);
}

pub(super) fn password_guessing(scene: &mut Scene<'_>) {
    let (_, user) = scene.two();
    let from = ("192.0.2.77", "BR");
    for _ in 0..8 {
        scene.login(&user, from, "LOGIN_ERROR_INVALID_PASSWORD", &[]);
        scene.wait(25);
    }
    scene.login(&user, from, "LOGIN_NO_ERROR", &[]);
}

pub(super) fn integration_password(scene: &mut Scene<'_>) {
    let user = scene.extra(1, "erp.integration@example.com");
    let soap = [
        ("URI", "/services/Soap/u/62.0"),
        ("LOGIN_TYPE", "I"),
        ("BROWSER_TYPE", "python-requests/2.32.4"),
        ("API_TYPE", "P"),
        ("API_VERSION", "62.0"),
    ];
    scene.login(&user, ATTACKER, "LOGIN_NO_ERROR", &soap);
}

pub(super) fn weak_tls(scene: &mut Scene<'_>) {
    let (_, user) = scene.two();
    let old = [("TLS_PROTOCOL", "TLSv1.0"), ("CIPHER_SUITE", "ECDHE-RSA-AES128-SHA")];
    scene.login(&user, ("192.0.2.88", "US"), "LOGIN_NO_ERROR", &old);
}
