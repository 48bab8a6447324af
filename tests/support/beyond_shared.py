"""What cannot hold on a store that several servers share: tests that fail there, with the reasons.

A name is that of a test function, whose parameters are all meant, or of a file.
"""

_NO_FOLDER = "there is no folder of values"
_ENDS_LATER = "a session ends when the log has stored that, not in the moment of its loss"
_COMES_BACK = "a message comes back by way of NATS, after the answer to a later request"
_MAX_PAYLOAD = "a value is smaller by 2 KiB, as NATS has to carry it"

BEYOND_SHARED: dict[str, str] = {
    "test_a_lock_goes_to_the_next_when_its_holder_dies": _ENDS_LATER,
    "test_a_lock_that_went_with_its_session_is_not_acknowledged_again": _ENDS_LATER,
    "test_no_ephemeral_value_is_on_disk_and_what_it_replaced_does_not_come_back": _NO_FOLDER,
    "test_a_file_written_by_hand_replaces_an_ephemeral_key": _NO_FOLDER,
    "test_messages_reach_everyone_subscribed_from_every_interface": _COMES_BACK,
    "test_a_body_is_json_or_a_text": _COMES_BACK,
    "test_python_drops_the_oldest_messages_that_are_not_read": _COMES_BACK,
    "test_a_data_of_the_largest_size_is_published": _MAX_PAYLOAD,
    "test_a_reader_that_is_too_slow_is_told_where_and_how_many_it_missed": _NO_FOLDER,
    "test_a_stream_that_is_read_too_slowly_is_told_what_it_missed": _NO_FOLDER,
    "test_all_readers_together_let_a_bounded_number_of_messages_wait": _NO_FOLDER,
}

BEYOND_SHARED_FILES: dict[str, str] = {}
