"""What cannot hold on a store that several servers share: tests that fail there, with the reasons.

A name is that of a test function, whose parameters are all meant, or of a function with parameters.
"""

_ANSWERS = "answers are remembered in the bucket, so that a restart of a server loses none"
_DISK = "no disk of the server can refuse: tests/cluster tries a store that does"
_EVICTION = "--eviction lru is refused: servers would not agree on what is unused"
_EPOCH = "the epoch is the bucket's: revisions go on over a restart of a server"
_FOLDER = "there is no folder of values, and so none to edit by hand"
_PAGES = "a decision about pages is remembered in the folder of values, and there is none"
_PLACE = "there is no folder of values, and so no place beside it for pages"
_SECRET = "a secret is kept in the folder of values: without one, it has to be given"
_SESSIONS = "sessions outlive their server, to be resumed at another one: tests/cluster tries it"

_LISTED = {
    _ANSWERS: {
        "tests/client/test_operations.py": (
            "test_a_change_is_rejected_as_unknown_if_the_server_has_restarted",
        ),
        "tests/client/test_python.py": (
            "test_an_operation_whose_answer_a_restart_lost_raises_no_answer_error",
        ),
    },
    _DISK: {
        "tests/conformance/test_concurrent_requests.py": (
            "test_requests_have_an_order_while_the_disk_refuses_some",
        ),
        "tests/protocol/test_bank.py": (
            "test_the_sum_is_the_same_while_the_disk_refuses_some_transfers",
        ),
        "tests/protocol/test_errors.py": (
            "test_a_value_the_disk_refuses_is_not_stored",
            "test_health_reports_a_failing_disk_until_writes_succeed_again",
            "test_a_refused_mset_stores_no_entry_even_after_a_restart",
            "test_requests_of_one_refused_tick_are_answered_in_order",
            "test_a_failing_disk_is_logged_once",
        ),
        "tests/protocol/test_kv.py": (
            "test_a_write_whose_commit_is_refused_changes_neither_value_nor_tag",
        ),
        "tests/protocol/test_long_polls.py": ("test_nothing_that_was_refused_is_told",),
        "tests/protocol/test_once.py": (
            "test_each_increment_counts_once_while_the_disk_refuses_some",
        ),
    },
    _EVICTION: {
        "tests/protocol/test_limits.py": (
            "test_a_store_over_its_lowered_limits_is_trimmed_at_the_start",
            "test_each_read_of_a_value_counts_as_use_for_eviction",
            "test_files_of_evicted_keys_are_removed",
        ),
        "tests/protocol/test_operations.py": ("test_a_txn_evicts_others_and_never_its_own_keys",),
    },
    _EPOCH: {
        "tests/protocol/test_kv.py": ("test_a_tag_from_before_a_restart_matches_nothing",),
        "tests/protocol/test_operations.py": (
            "test_a_restart_begins_an_epoch_with_greater_revisions",
        ),
        "tests/protocol/test_watch.py": ("test_a_position_of_another_start_is_a_reset",),
    },
    _FOLDER: {
        "tests/client/test_connection.py": (
            "test_a_key_deleted_during_a_disconnect_is_reported_as_null",
            "test_a_watch_continues_with_changed_values_after_a_restart",
        ),
        "tests/client/test_python.py": (
            "test_a_watch_of_a_pattern_goes_on_over_a_restart_with_what_differs",
            "test_unchanged_values_are_not_repeated_after_a_reconnect",
        ),
        "tests/client/test_watching.py": ("test_only_what_differs_is_told_after_a_restart",),
        "tests/conformance/test_concurrent_requests.py": (
            "test_requests_and_edits_of_files_have_an_order",
        ),
        "tests/protocol/test_default_ttl.py": (
            "test_a_value_file_made_by_hand_gets_no_default_ttl",
        ),
        "tests/protocol/test_sessions.py": (
            "test_a_file_written_by_hand_replaces_an_ephemeral_key",
        ),
    },
    _PAGES: {
        "tests/protocol/test_overview.py": (
            "test_pages_from_disk_can_be_admitted_and_refused_again",
            "test_a_decision_that_cannot_be_stored_is_refused",
        ),
    },
    _PLACE: {
        "tests/protocol/test_new_pages.py": (
            "test_pages_are_made_in_a_new_folder_and_shown_at_once_and_after_a_restart",
            "test_somebody_elses_folder_is_not_shown",
            "test_a_place_that_cannot_be_written_is_a_sentence",
        ),
        "tests/protocol/test_pages.py": (
            "test_folders_whose_names_are_no_text_are_told_of_readably",
        ),
    },
    _SECRET: {
        "tests/protocol/test_get_writes.py": (
            "test_a_secret_is_made_once_and_kept_across_restarts",
            "test_removing_the_file_makes_another_secret",
            "test_a_damaged_file_makes_another_secret_and_says_so",
            "test_without_a_folder_the_secret_lasts_until_the_stop",
            "test_the_secret_is_neither_logged_nor_reported[made]",
        ),
    },
    _SESSIONS: {
        "tests/protocol/test_sessions.py": (
            "test_no_ephemeral_value_is_on_disk_and_what_it_replaced_does_not_come_back",
        ),
    },
}

BEYOND_SHARED = {
    f"{file}::{name}": reason
    for reason, files in _LISTED.items()
    for file, names in files.items()
    for name in names
}
