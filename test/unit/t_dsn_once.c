/* Notes on reports, as they stand in journals and envelopes: what is written is read, what is not ours is not. */
#include "dsn_once.h"

#include "unit.h"

#include "address.h"
#include "deliver.h"
#include "exim.h"
#include "message.h"

#define ID "1xABCD-000001-AB"

static struct delivery *begin(struct arena *a)
{
    struct delivery *d = arena_new_obj(a, struct delivery);
    struct message *m = message_new("test");

    d->arena = a;
    d->exim = arena_new_obj(a, struct exim);
    d->message = m;
    d->recipients = arena_new_array(a, struct address *, 10);
    message_add_recipient(m, "one@here.test", -1)->dsn_flags = DSN_SUCCESS;
    message_add_recipient(m, "two@here.test", -1)->dsn_flags = DSN_SUCCESS | DSN_DELAY;
    message_add_recipient(m, "three@here.test", -1)->dsn_flags = DSN_FAILURE;
    return d;
}

static void end(struct delivery *d)
{
    message_free(&d->message);
}

static struct address *top_of(struct delivery *d, int pno)
{
    struct address *top = address_new(d->arena, d->message->recipients[pno].address);

    top->top = top;
    top->recipient = &d->message->recipients[pno];
    top->pno = pno;
    return top;
}

static void a_success_is_remembered_whole(void **state)
{
    struct delivery *d = begin(*state);
    struct address *top = top_of(d, 1), *child = address_new(*state, "far@away.test");

    top->child_total = 2;
    child->top = child->parent = top;
    child->list_child = true;
    child->dsn_flags = DSN_LASTHOP;
    child->outcome = OUTCOME_RELAYED;
    child->last_attempt = 1234567;
    child->result = (struct addr_result){ .rc = RC_OK, .status = "2.1.5", .remote_mta = "mx.away.test",
                                          .diagnostic = "250 2.1.5 taken\n and \xc3\xa4 - too" };
    message_add_nonrecipient(d->message, dsn_once_fact(*state, child));
    assert_true(dsn_once_is_note(dsn_once_fact(*state, child)));
    assert_null(strpbrk(dsn_once_fact(*state, child), "\n\t"));
    dsn_once_recall(d);
    struct address *got = d->addr_succeeded;
    assert_non_null(got);
    assert_null(got->next);
    assert_int_equal(got->pno, 1);
    assert_true(got->outcome == OUTCOME_RELAYED && got->list_child && got->parent != NULL && got->settled);
    assert_true((got->dsn_flags & DSN_LASTHOP) != 0 && (got->dsn_flags & DSN_DELAY) != 0);
    assert_int_equal(got->last_attempt, 1234567);
    assert_string_equal(got->result.status, "2.1.5");
    assert_string_equal(got->result.remote_mta, "mx.away.test");
    assert_string_equal(got->result.diagnostic, child->result.diagnostic);
    assert_int_equal(got->top->child_total, 2);
    assert_int_equal(d->recipient_count, 1);
    d->addr_succeeded = NULL;
    dsn_once_recall(d);
    assert_null(d->addr_succeeded); /* used up */
    end(d);
}

static void what_nobody_asked_for_is_not_remembered(void **state)
{
    struct delivery *d = begin(*state);

    assert_null(dsn_once_fact(*state, top_of(d, 2)));
    assert_non_null(dsn_once_fact(*state, top_of(d, 0)));
    end(d);
}

static void a_note_that_is_damaged_is_no_success(void **state)
{
    static const char *const notes[] = {
        "dsn success ", "dsn success 0", "dsn success 9 1 0 0 0 - - -", "dsn success -1 1 0 0 0 - - -",
        "dsn success 0 99 0 0 0 - - -", "dsn success 0 1 8 0 0 - - -", "dsn success 0 1 0 -2 0 - - -",
        "dsn success x 1 0 0 0 - - -", "dsn success 2 1 0 0 0 - - -", "dsn success 0 1 0 0 99999999999999999999 - - -" };
    struct delivery *d = begin(*state);

    for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
        message_add_nonrecipient(d->message, notes[i]);
        dsn_once_recall(d);
        CHECK(notes[i], d->addr_succeeded == NULL && !message_is_nonrecipient(d->message, notes[i]));
    }
    end(d);
}

static void texts_that_are_damaged_are_left_out(void **state)
{
    struct delivery *d = begin(*state);

    message_add_nonrecipient(d->message, "dsn success 0 1 0 0 7 *** ? -");
    dsn_once_recall(d);
    assert_non_null(d->addr_succeeded);
    assert_null(d->addr_succeeded->result.status);
    assert_null(d->addr_succeeded->result.remote_mta);
    end(d);
}

static void what_is_done_takes_effect_and_its_notes_go(void **state)
{
    static const char *const notes[] = { "dsn intent " ID, "dsn done " ID " failure Z29uZUBoZXJlLnRlc3Q= bHlzYUBoZXJlLnRlc3Q=",
                                         "dsn done other success 0 1 2 7 x -1", "dsn intent no-message-id" };
    struct delivery *d = begin(*state);

    for (size_t i = 0; i < ARRAY_LEN(notes); i++)
        message_add_nonrecipient(d->message, notes[i]);
    assert_true(dsn_once_recover(d));
    for (size_t i = 0; i < ARRAY_LEN(notes); i++)
        CHECK(notes[i], !message_is_nonrecipient(d->message, notes[i]));
    assert_true(message_is_nonrecipient(d->message, "gone@here.test"));
    assert_true(message_is_nonrecipient(d->message, "lysa@here.test"));
    assert_int_equal(d->message->recipients[0].dsn_flags, DSN_NEVER); /* asked for nothing else */
    assert_int_equal(d->message->recipients[1].dsn_flags, DSN_DELAY);
    assert_int_equal(d->message->recipients[2].dsn_flags, DSN_FAILURE);
    assert_true(d->update_spool);
    end(d);
}

static void a_warning_is_known_by_count_and_address(void **state)
{
    struct delivery *d = begin(*state);

    message_add_nonrecipient(d->message, "dsn done " ID " delay 2 YUBoZXJlLnRlc3Q=");
    assert_false(dsn_once_is_warned(d, 1, "a@here.test"));
    assert_true(dsn_once_recover(d));
    assert_true(dsn_once_is_warned(d, 1, "a@here.test"));
    assert_true(dsn_once_is_warned(d, 2, "a@here.test"));
    assert_false(dsn_once_is_warned(d, 3, "a@here.test"));
    assert_false(dsn_once_is_warned(d, 2, "b@here.test"));
    dsn_once_forget_warned(d);
    assert_false(dsn_once_is_warned(d, 1, "a@here.test"));
    end(d);
}

static void what_the_client_gave_is_found_by_number(void **state)
{
    struct delivery *d = begin(*state);

    dsn_once_note_given(d->message, 1, "\"a b\"@here.test");
    dsn_once_note_given(d->message, 12, "other@here.test");
    assert_string_equal(dsn_once_given(*state, d->message, 1), "\"a b\"@here.test");
    assert_string_equal(dsn_once_given(*state, d->message, 12), "other@here.test");
    assert_null(dsn_once_given(*state, d->message, 2));
    end(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_success_is_remembered_whole),
        UNIT_TEST(what_nobody_asked_for_is_not_remembered),
        UNIT_TEST(a_note_that_is_damaged_is_no_success),
        UNIT_TEST(texts_that_are_damaged_are_left_out),
        UNIT_TEST(what_is_done_takes_effect_and_its_notes_go),
        UNIT_TEST(a_warning_is_known_by_count_and_address),
        UNIT_TEST(what_the_client_gave_is_found_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
