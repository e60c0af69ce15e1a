//! The tables as diesel knows them; the comments stand in the migrations.

diesel::table! {
    settings (name) {
        name -> Text,
        value -> Binary,
    }
}

diesel::table! {
    data_keys (owner) {
        owner -> Text,
        kek_id -> Text,
        wrapped -> Binary,
        created_at -> BigInt,
        destroyed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    projects (id) {
        id -> Text,
        slug -> Text,
        name -> Text,
        policy -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    certificates (id) {
        id -> Text,
        fingerprint_lookup -> Binary,
        content_sealed -> Binary,
        version -> BigInt,
        sha1_until_at -> Nullable<BigInt>,
        seipdv1_only -> Bool,
        created_at -> BigInt,
        updated_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    maintainers (id) {
        id -> Text,
        certificate_id -> Text,
        person_sealed -> Binary,
        created_at -> BigInt,
        removed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    project_maintainers (project_id, maintainer_id) {
        project_id -> Text,
        maintainer_id -> Text,
        created_at -> BigInt,
        removed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    packagers (id) {
        id -> Text,
        slug_lookup -> Binary,
        organisation_sealed -> Binary,
        created_at -> BigInt,
        removed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    contacts (id) {
        id -> Text,
        packager_id -> Text,
        certificate_id -> Text,
        address_sealed -> Binary,
        created_at -> BigInt,
        removed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    memberships (project_id, packager_id) {
        project_id -> Text,
        packager_id -> Text,
        approved_at -> BigInt,
        removed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    embargoes (id) {
        id -> Text,
        project_id -> Text,
        stage -> Text,
        version -> BigInt,
        opened_at -> BigInt,
        lifts_at -> Nullable<BigInt>,
        lift_zone -> Nullable<Text>,
        lift_local -> Nullable<Text>,
        notice_at -> Nullable<BigInt>,
        agreed_at -> Nullable<BigInt>,
        revision -> Nullable<Integer>,
        early -> Bool,
        announced_at -> Nullable<BigInt>,
        ended_at -> Nullable<BigInt>,
        case_sealed -> Binary,
    }
}

diesel::table! {
    fixes (id) {
        id -> Text,
        embargo_id -> Text,
        facts_sealed -> Binary,
        content_sealed -> Binary,
        size -> BigInt,
        in_working_set -> Bool,
        created_at -> BigInt,
    }
}

diesel::table! {
    revisions (embargo_id, number) {
        embargo_id -> Text,
        number -> Integer,
        content_sealed -> Binary,
        receipt_hash -> Binary,
        frozen_at -> BigInt,
    }
}

diesel::table! {
    revision_fixes (embargo_id, number, fix_id) {
        embargo_id -> Text,
        number -> Integer,
        fix_id -> Text,
    }
}

diesel::table! {
    audience (embargo_id, packager_id) {
        embargo_id -> Text,
        packager_id -> Text,
        added_at -> BigInt,
        removed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    notices (id) {
        id -> Text,
        embargo_id -> Text,
        kind -> Text,
        serial -> Integer,
        revision -> Nullable<Integer>,
        content_sealed -> Binary,
        created_at -> BigInt,
        superseded_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    bodies (id) {
        id -> Text,
        embargo_id -> Text,
        subject_kind -> Text,
        subject_id -> Text,
        container -> Text,
        session_key_sealed -> Binary,
        content -> Binary,
        created_at -> BigInt,
        content_sha256 -> Nullable<Binary>,
    }
}

diesel::table! {
    heads (body_id, certificate_id, certificate_version) {
        body_id -> Text,
        certificate_id -> Text,
        certificate_version -> BigInt,
        content -> Binary,
        made_at -> BigInt,
        content_sha256 -> Nullable<Binary>,
    }
}

diesel::table! {
    deliveries (id) {
        id -> Text,
        notice_id -> Text,
        embargo_id -> Text,
        recipient_kind -> Text,
        recipient_id -> Text,
        packager_id -> Nullable<Text>,
        state -> Text,
        attempts -> Integer,
        uncertain -> Integer,
        not_before_at -> BigInt,
        lease_owner -> Nullable<Text>,
        lease_until_at -> Nullable<BigInt>,
        fence -> BigInt,
        frozen_sealed -> Nullable<Binary>,
        message_sha256 -> Nullable<Binary>,
        last_reply_sealed -> Nullable<Binary>,
        created_at -> BigInt,
        accepted_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    answers (embargo_id, packager_id) {
        embargo_id -> Text,
        packager_id -> Text,
        receipt_revision -> Nullable<Integer>,
        receipt_at -> Nullable<BigInt>,
        impact -> Text,
        impact_reason_sealed -> Nullable<Binary>,
        progress -> Text,
        updated_at -> BigInt,
    }
}

diesel::table! {
    tokens (id) {
        id -> Text,
        hash -> Binary,
        kind -> Text,
        maintainer_id -> Nullable<Text>,
        contact_id -> Nullable<Text>,
        scopes -> Text,
        last_four -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    challenges (nonce_hash) {
        nonce_hash -> Binary,
        fingerprint_lookup -> Binary,
        certificate_sealed -> Binary,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    applications (id) {
        id -> Text,
        fingerprint_lookup -> Binary,
        content_sealed -> Binary,
        received_at -> BigInt,
    }
}

diesel::table! {
    commands (maintainer_id, idempotency_key) {
        maintainer_id -> Text,
        idempotency_key -> Text,
        request_sha256 -> Binary,
        status -> Integer,
        headers -> Text,
        answer -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    audit (sequence) {
        sequence -> BigInt,
        at -> BigInt,
        actor -> Text,
        action -> Text,
        embargo_id -> Text,
        object -> Text,
        detail_sealed -> Binary,
        previous_hash -> Binary,
        hash -> Binary,
    }
}

diesel::table! {
    audit_head (id) {
        id -> Integer,
        sequence -> BigInt,
        hash -> Binary,
    }
}

diesel::table! {
    clock_marks (id) {
        id -> Integer,
        highest_at -> BigInt,
    }
}

diesel::table! {
    advisory_numbers (year) {
        year -> Integer,
        last -> Integer,
    }
}

diesel::table! {
    advisories (id) {
        id -> Text,
        embargo_id -> Text,
        project -> Text,
        published_at -> BigInt,
    }
}

diesel::table! {
    advisory_revisions (advisory_id, number) {
        advisory_id -> Text,
        number -> Integer,
        content -> Text,
        published_at -> BigInt,
        content_sha256 -> Nullable<Binary>,
    }
}

diesel::table! {
    published_files (path) {
        path -> Text,
        advisory_id -> Text,
        media_type -> Text,
        content -> Binary,
        sha256 -> Text,
        published_at -> BigInt,
    }
}

diesel::table! {
    holds (id) {
        id -> Text,
        kind -> Text,
        reason_sealed -> Nullable<Binary>,
        placed_at -> BigInt,
        placed_by -> Text,
        released_at -> Nullable<BigInt>,
        released_by -> Nullable<Text>,
    }
}

diesel::table! {
    key_encryption_keys (id) {
        id -> Text,
        prepared_at -> BigInt,
        current_at -> Nullable<BigInt>,
        retired_at -> Nullable<BigInt>,
        forgotten_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    housekeeping (task) {
        task -> Text,
        done_at -> BigInt,
    }
}

diesel::table! {
    receipt_tries (embargo_id, packager_id) {
        embargo_id -> Text,
        packager_id -> Text,
        since_at -> BigInt,
        tries -> Integer,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    settings,
    data_keys,
    projects,
    certificates,
    maintainers,
    project_maintainers,
    packagers,
    contacts,
    memberships,
    embargoes,
    fixes,
    revisions,
    revision_fixes,
    audience,
    notices,
    bodies,
    heads,
    deliveries,
    answers,
    tokens,
    challenges,
    commands,
    audit,
    audit_head,
    clock_marks,
    advisory_numbers,
    advisories,
    advisory_revisions,
    published_files,
    holds,
    key_encryption_keys,
    housekeeping,
    receipt_tries,
    applications,
);

diesel::table! {
    checkpoints (sequence) {
        sequence -> BigInt,
        line -> Text,
        signature -> Text,
        made_at -> BigInt,
    }
}

diesel::table! {
    incarnations (number) {
        number -> Integer,
        id -> Text,
        began_at -> BigInt,
    }
}
