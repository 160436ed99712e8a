/* openssl.h - OpenSSL, loaded when it is first called. Relocating it takes longer than a whole run
 * of most command lines, which never need it. Include this instead of <openssl/...>.
 *
 * A function that is missing from the list is linked as usual: that works, and every start pays for
 * it again (test/scenario/test_start.py). */
#ifndef EXIM_BASE_OPENSSL_H
#define EXIM_BASE_OPENSSL_H

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

struct err;

/* clang-format off */
#define OPENSSL_FUNCTIONS(F) \
    F(ACCESS_DESCRIPTION_free) F(ASN1_IA5STRING_free) F(ASN1_IA5STRING_new) \
    F(ASN1_INTEGER_cmp) F(ASN1_INTEGER_set) F(ASN1_STRING_get0_data) \
    F(ASN1_STRING_length) F(ASN1_STRING_set) F(ASN1_STRING_to_UTF8) F(ASN1_TIME_print) \
    F(ASN1_TIME_to_tm) F(ASN1_d2i_bio) F(BIO_ctrl) F(BIO_free) F(BIO_get_data) \
    F(BIO_get_new_index) F(BIO_meth_new) F(BIO_meth_set_ctrl) F(BIO_meth_set_read) \
    F(BIO_meth_set_write) F(BIO_new) F(BIO_new_file) F(BIO_s_mem) F(BIO_set_data) \
    F(BIO_set_init) F(CRYPTO_clear_free) F(CRYPTO_free) F(CRYPTO_get_ex_new_index) \
    F(CRYPTO_memdup) F(DIST_POINT_free) F(ERR_clear_error) F(ERR_error_string_n) \
    F(ERR_get_error) F(EVP_Digest) F(EVP_PKEY_CTX_free) F(EVP_PKEY_CTX_new_from_name) \
    F(EVP_PKEY_CTX_set_params) F(EVP_PKEY_Q_keygen) F(EVP_PKEY_free) \
    F(EVP_PKEY_get_base_id) F(EVP_PKEY_get_bits) F(EVP_PKEY_paramgen) \
    F(EVP_PKEY_paramgen_init) F(EVP_get_digestbyname) F(EVP_md5) F(EVP_sha1) \
    F(EVP_sha224) F(EVP_sha256) F(EVP_sha384) F(EVP_sha3_224) F(EVP_sha3_256) \
    F(EVP_sha3_384) F(EVP_sha3_512) F(EVP_sha512) F(GENERAL_NAMES_free) \
    F(GENERAL_NAME_free) F(GENERAL_NAME_new) F(GENERAL_NAME_set0_value) F(HMAC) \
    F(NAME_CONSTRAINTS_check) F(NAME_CONSTRAINTS_free) F(OBJ_nid2sn) F(OBJ_obj2nid) \
    F(OBJ_txt2nid) F(OCSP_BASICRESP_free) F(OCSP_CERTID_free) F(OCSP_RESPONSE_free) \
    F(OCSP_RESPONSE_new) F(OCSP_SINGLERESP_get0_id) F(OCSP_basic_verify) \
    F(OCSP_cert_to_id) F(OCSP_check_validity) F(OCSP_id_cmp) F(OCSP_id_get0_info) \
    F(OCSP_resp_count) F(OCSP_resp_get0) F(OCSP_response_get1_basic) \
    F(OCSP_response_status) F(OCSP_single_get0_status) F(OPENSSL_sk_free) \
    F(OPENSSL_sk_new_null) F(OPENSSL_sk_num) F(OPENSSL_sk_pop_free) F(OPENSSL_sk_push) \
    F(OPENSSL_sk_value) F(OSSL_PARAM_construct_end) \
    F(OSSL_PARAM_construct_utf8_string) F(OpenSSL_version) F(PEM_ASN1_read_bio) \
    F(PEM_read_bio_Parameters) F(PEM_write_bio_X509) F(SSL_CIPHER_get_bits) \
    F(SSL_CIPHER_get_name) F(SSL_CIPHER_standard_name) F(SSL_CTX_callback_ctrl) \
    F(SSL_CTX_check_private_key) F(SSL_CTX_clear_options) F(SSL_CTX_ctrl) \
    F(SSL_CTX_dane_enable) F(SSL_CTX_free) F(SSL_CTX_get_cert_store) \
    F(SSL_CTX_load_verify_dir) F(SSL_CTX_load_verify_file) F(SSL_CTX_new) \
    F(SSL_CTX_sess_set_new_cb) F(SSL_CTX_set0_tmp_dh_pkey) F(SSL_CTX_set_alpn_protos) \
    F(SSL_CTX_set_alpn_select_cb) F(SSL_CTX_set_cert_verify_callback) \
    F(SSL_CTX_set_cipher_list) F(SSL_CTX_set_client_CA_list) \
    F(SSL_CTX_set_default_verify_paths) F(SSL_CTX_set_options) \
    F(SSL_CTX_use_PrivateKey) F(SSL_CTX_use_PrivateKey_file) \
    F(SSL_CTX_use_certificate) F(SSL_CTX_use_certificate_chain_file) \
    F(SSL_SESSION_free) F(SSL_SESSION_get_timeout) F(SSL_SESSION_is_resumable) \
    F(SSL_accept) F(SSL_add1_host) F(SSL_clear_options) F(SSL_connect) F(SSL_ctrl) \
    F(SSL_dane_enable) F(SSL_dane_set_flags) F(SSL_dane_tlsa_add) F(SSL_free) \
    F(SSL_get0_alpn_selected) F(SSL_get0_dane) F(SSL_get0_dane_authority) \
    F(SSL_get0_dane_tlsa) F(SSL_get1_peer_certificate) F(SSL_get1_session) \
    F(SSL_get_SSL_CTX) F(SSL_get_certificate) F(SSL_get_current_cipher) \
    F(SSL_get_error) F(SSL_get_ex_data) F(SSL_get_ex_data_X509_STORE_CTX_idx) \
    F(SSL_get_servername) F(SSL_get_verify_result) F(SSL_get_version) \
    F(SSL_has_pending) F(SSL_is_init_finished) F(SSL_load_client_CA_file) F(SSL_new) \
    F(SSL_read_ex) F(SSL_select_next_proto) F(SSL_session_reused) F(SSL_set_SSL_CTX) \
    F(SSL_set_bio) F(SSL_set_ex_data) F(SSL_set_hostflags) F(SSL_set_num_tickets) \
    F(SSL_set_options) F(SSL_set_session) F(SSL_set_session_id_context) \
    F(SSL_set_verify) F(SSL_shutdown) F(SSL_version) F(SSL_write_ex) \
    F(TLS_client_method) F(TLS_server_method) F(X509_ALGOR_get0) \
    F(X509_EXTENSION_get_critical) F(X509_LOOKUP_ctrl) F(X509_LOOKUP_file) \
    F(X509_LOOKUP_hash_dir) F(X509_NAME_ENTRY_get_data) F(X509_NAME_add_entry_by_txt) \
    F(X509_NAME_entry_count) F(X509_NAME_get_entry) F(X509_NAME_get_index_by_NID) \
    F(X509_NAME_oneline) F(X509_NAME_print_ex) F(X509_STORE_CTX_free) \
    F(X509_STORE_CTX_get0_cert) F(X509_STORE_CTX_get0_chain) \
    F(X509_STORE_CTX_get0_param) F(X509_STORE_CTX_get0_store) \
    F(X509_STORE_CTX_get0_untrusted) F(X509_STORE_CTX_get1_chain) \
    F(X509_STORE_CTX_get_current_cert) F(X509_STORE_CTX_get_error) \
    F(X509_STORE_CTX_get_error_depth) F(X509_STORE_CTX_get_ex_data) \
    F(X509_STORE_CTX_init) F(X509_STORE_CTX_new) F(X509_STORE_CTX_set0_verified_chain) \
    F(X509_STORE_CTX_set_default) F(X509_STORE_CTX_set_error) F(X509_STORE_add_lookup) \
    F(X509_STORE_set_flags) F(X509_VERIFY_PARAM_set1) F(X509_add1_ext_i2d) \
    F(X509_check_purpose) F(X509_cmp) F(X509_free) F(X509_get0_notAfter) \
    F(X509_get0_notBefore) F(X509_get0_serialNumber) F(X509_get0_signature) \
    F(X509_get_default_cert_file) F(X509_get_ext) F(X509_get_ext_by_NID) \
    F(X509_get_ext_d2i) F(X509_get_issuer_name) F(X509_get_serialNumber) \
    F(X509_get_subject_name) F(X509_get_version) F(X509_getm_notAfter) \
    F(X509_getm_notBefore) F(X509_gmtime_adj) F(X509_load_crl_file) F(X509_new) \
    F(X509_set_issuer_name) F(X509_set_pubkey) F(X509_set_version) F(X509_sign) \
    F(X509_up_ref) F(X509_verify_cert) F(X509_verify_cert_error_string) \
    F(d2i_OCSP_RESPONSE) F(d2i_SSL_SESSION) F(d2i_X509) F(i2a_ASN1_INTEGER) \
    F(i2a_ASN1_OBJECT) F(i2d_OCSP_RESPONSE) F(i2d_SSL_SESSION) F(i2d_X509)
/* clang-format on */

struct openssl {
#define OPENSSL_MEMBER(name) __typeof__(name) *name;
    OPENSSL_FUNCTIONS(OPENSSL_MEMBER)
#undef OPENSSL_MEMBER
};

/* Loads it, if that was not done yet. For what forks, or gives up the right to open files. */
bool openssl_load(struct err *err);
/* The functions; the process ends with a message when the library cannot be loaded. */
const struct openssl *openssl(void);

/* clang-format off */
#define ACCESS_DESCRIPTION_free (openssl()->ACCESS_DESCRIPTION_free)
#define ASN1_IA5STRING_free (openssl()->ASN1_IA5STRING_free)
#define ASN1_IA5STRING_new (openssl()->ASN1_IA5STRING_new)
#define ASN1_INTEGER_cmp (openssl()->ASN1_INTEGER_cmp)
#define ASN1_INTEGER_set (openssl()->ASN1_INTEGER_set)
#define ASN1_STRING_get0_data (openssl()->ASN1_STRING_get0_data)
#define ASN1_STRING_length (openssl()->ASN1_STRING_length)
#define ASN1_STRING_set (openssl()->ASN1_STRING_set)
#define ASN1_STRING_to_UTF8 (openssl()->ASN1_STRING_to_UTF8)
#define ASN1_TIME_print (openssl()->ASN1_TIME_print)
#define ASN1_TIME_to_tm (openssl()->ASN1_TIME_to_tm)
#define ASN1_d2i_bio (openssl()->ASN1_d2i_bio)
#define BIO_ctrl (openssl()->BIO_ctrl)
#define BIO_free (openssl()->BIO_free)
#define BIO_get_data (openssl()->BIO_get_data)
#define BIO_get_new_index (openssl()->BIO_get_new_index)
#define BIO_meth_new (openssl()->BIO_meth_new)
#define BIO_meth_set_ctrl (openssl()->BIO_meth_set_ctrl)
#define BIO_meth_set_read (openssl()->BIO_meth_set_read)
#define BIO_meth_set_write (openssl()->BIO_meth_set_write)
#define BIO_new (openssl()->BIO_new)
#define BIO_new_file (openssl()->BIO_new_file)
#define BIO_s_mem (openssl()->BIO_s_mem)
#define BIO_set_data (openssl()->BIO_set_data)
#define BIO_set_init (openssl()->BIO_set_init)
#define CRYPTO_clear_free (openssl()->CRYPTO_clear_free)
#define CRYPTO_free (openssl()->CRYPTO_free)
#define CRYPTO_get_ex_new_index (openssl()->CRYPTO_get_ex_new_index)
#define CRYPTO_memdup (openssl()->CRYPTO_memdup)
#define DIST_POINT_free (openssl()->DIST_POINT_free)
#define ERR_clear_error (openssl()->ERR_clear_error)
#define ERR_error_string_n (openssl()->ERR_error_string_n)
#define ERR_get_error (openssl()->ERR_get_error)
#define EVP_Digest (openssl()->EVP_Digest)
#define EVP_PKEY_CTX_free (openssl()->EVP_PKEY_CTX_free)
#define EVP_PKEY_CTX_new_from_name (openssl()->EVP_PKEY_CTX_new_from_name)
#define EVP_PKEY_CTX_set_params (openssl()->EVP_PKEY_CTX_set_params)
#define EVP_PKEY_Q_keygen (openssl()->EVP_PKEY_Q_keygen)
#define EVP_PKEY_free (openssl()->EVP_PKEY_free)
#define EVP_PKEY_get_base_id (openssl()->EVP_PKEY_get_base_id)
#define EVP_PKEY_get_bits (openssl()->EVP_PKEY_get_bits)
#define EVP_PKEY_paramgen (openssl()->EVP_PKEY_paramgen)
#define EVP_PKEY_paramgen_init (openssl()->EVP_PKEY_paramgen_init)
#define EVP_get_digestbyname (openssl()->EVP_get_digestbyname)
#define EVP_md5 (openssl()->EVP_md5)
#define EVP_sha1 (openssl()->EVP_sha1)
#define EVP_sha224 (openssl()->EVP_sha224)
#define EVP_sha256 (openssl()->EVP_sha256)
#define EVP_sha384 (openssl()->EVP_sha384)
#define EVP_sha3_224 (openssl()->EVP_sha3_224)
#define EVP_sha3_256 (openssl()->EVP_sha3_256)
#define EVP_sha3_384 (openssl()->EVP_sha3_384)
#define EVP_sha3_512 (openssl()->EVP_sha3_512)
#define EVP_sha512 (openssl()->EVP_sha512)
#define GENERAL_NAMES_free (openssl()->GENERAL_NAMES_free)
#define GENERAL_NAME_free (openssl()->GENERAL_NAME_free)
#define GENERAL_NAME_new (openssl()->GENERAL_NAME_new)
#define GENERAL_NAME_set0_value (openssl()->GENERAL_NAME_set0_value)
#define HMAC (openssl()->HMAC)
#define NAME_CONSTRAINTS_check (openssl()->NAME_CONSTRAINTS_check)
#define NAME_CONSTRAINTS_free (openssl()->NAME_CONSTRAINTS_free)
#define OBJ_nid2sn (openssl()->OBJ_nid2sn)
#define OBJ_obj2nid (openssl()->OBJ_obj2nid)
#define OBJ_txt2nid (openssl()->OBJ_txt2nid)
#define OCSP_BASICRESP_free (openssl()->OCSP_BASICRESP_free)
#define OCSP_CERTID_free (openssl()->OCSP_CERTID_free)
#define OCSP_RESPONSE_free (openssl()->OCSP_RESPONSE_free)
#define OCSP_RESPONSE_new (openssl()->OCSP_RESPONSE_new)
#define OCSP_SINGLERESP_get0_id (openssl()->OCSP_SINGLERESP_get0_id)
#define OCSP_basic_verify (openssl()->OCSP_basic_verify)
#define OCSP_cert_to_id (openssl()->OCSP_cert_to_id)
#define OCSP_check_validity (openssl()->OCSP_check_validity)
#define OCSP_id_cmp (openssl()->OCSP_id_cmp)
#define OCSP_id_get0_info (openssl()->OCSP_id_get0_info)
#define OCSP_resp_count (openssl()->OCSP_resp_count)
#define OCSP_resp_get0 (openssl()->OCSP_resp_get0)
#define OCSP_response_get1_basic (openssl()->OCSP_response_get1_basic)
#define OCSP_response_status (openssl()->OCSP_response_status)
#define OCSP_single_get0_status (openssl()->OCSP_single_get0_status)
#define OPENSSL_sk_free (openssl()->OPENSSL_sk_free)
#define OPENSSL_sk_new_null (openssl()->OPENSSL_sk_new_null)
#define OPENSSL_sk_num (openssl()->OPENSSL_sk_num)
#define OPENSSL_sk_pop_free (openssl()->OPENSSL_sk_pop_free)
#define OPENSSL_sk_push (openssl()->OPENSSL_sk_push)
#define OPENSSL_sk_value (openssl()->OPENSSL_sk_value)
#define OSSL_PARAM_construct_end (openssl()->OSSL_PARAM_construct_end)
#define OSSL_PARAM_construct_utf8_string (openssl()->OSSL_PARAM_construct_utf8_string)
#define OpenSSL_version (openssl()->OpenSSL_version)
#define PEM_ASN1_read_bio (openssl()->PEM_ASN1_read_bio)
#define PEM_read_bio_Parameters (openssl()->PEM_read_bio_Parameters)
#define PEM_write_bio_X509 (openssl()->PEM_write_bio_X509)
#define SSL_CIPHER_get_bits (openssl()->SSL_CIPHER_get_bits)
#define SSL_CIPHER_get_name (openssl()->SSL_CIPHER_get_name)
#define SSL_CIPHER_standard_name (openssl()->SSL_CIPHER_standard_name)
#define SSL_CTX_callback_ctrl (openssl()->SSL_CTX_callback_ctrl)
#define SSL_CTX_check_private_key (openssl()->SSL_CTX_check_private_key)
#define SSL_CTX_clear_options (openssl()->SSL_CTX_clear_options)
#define SSL_CTX_ctrl (openssl()->SSL_CTX_ctrl)
#define SSL_CTX_dane_enable (openssl()->SSL_CTX_dane_enable)
#define SSL_CTX_free (openssl()->SSL_CTX_free)
#define SSL_CTX_get_cert_store (openssl()->SSL_CTX_get_cert_store)
#define SSL_CTX_load_verify_dir (openssl()->SSL_CTX_load_verify_dir)
#define SSL_CTX_load_verify_file (openssl()->SSL_CTX_load_verify_file)
#define SSL_CTX_new (openssl()->SSL_CTX_new)
#define SSL_CTX_sess_set_new_cb (openssl()->SSL_CTX_sess_set_new_cb)
#define SSL_CTX_set0_tmp_dh_pkey (openssl()->SSL_CTX_set0_tmp_dh_pkey)
#define SSL_CTX_set_alpn_protos (openssl()->SSL_CTX_set_alpn_protos)
#define SSL_CTX_set_alpn_select_cb (openssl()->SSL_CTX_set_alpn_select_cb)
#define SSL_CTX_set_cert_verify_callback (openssl()->SSL_CTX_set_cert_verify_callback)
#define SSL_CTX_set_cipher_list (openssl()->SSL_CTX_set_cipher_list)
#define SSL_CTX_set_client_CA_list (openssl()->SSL_CTX_set_client_CA_list)
#define SSL_CTX_set_default_verify_paths (openssl()->SSL_CTX_set_default_verify_paths)
#define SSL_CTX_set_options (openssl()->SSL_CTX_set_options)
#define SSL_CTX_use_PrivateKey (openssl()->SSL_CTX_use_PrivateKey)
#define SSL_CTX_use_PrivateKey_file (openssl()->SSL_CTX_use_PrivateKey_file)
#define SSL_CTX_use_certificate (openssl()->SSL_CTX_use_certificate)
#define SSL_CTX_use_certificate_chain_file (openssl()->SSL_CTX_use_certificate_chain_file)
#define SSL_SESSION_free (openssl()->SSL_SESSION_free)
#define SSL_SESSION_get_timeout (openssl()->SSL_SESSION_get_timeout)
#define SSL_SESSION_is_resumable (openssl()->SSL_SESSION_is_resumable)
#define SSL_accept (openssl()->SSL_accept)
#define SSL_add1_host (openssl()->SSL_add1_host)
#define SSL_clear_options (openssl()->SSL_clear_options)
#define SSL_connect (openssl()->SSL_connect)
#define SSL_ctrl (openssl()->SSL_ctrl)
#define SSL_dane_enable (openssl()->SSL_dane_enable)
#define SSL_dane_set_flags (openssl()->SSL_dane_set_flags)
#define SSL_dane_tlsa_add (openssl()->SSL_dane_tlsa_add)
#define SSL_free (openssl()->SSL_free)
#define SSL_get0_alpn_selected (openssl()->SSL_get0_alpn_selected)
#define SSL_get0_dane (openssl()->SSL_get0_dane)
#define SSL_get0_dane_authority (openssl()->SSL_get0_dane_authority)
#define SSL_get0_dane_tlsa (openssl()->SSL_get0_dane_tlsa)
#define SSL_get1_peer_certificate (openssl()->SSL_get1_peer_certificate)
#define SSL_get1_session (openssl()->SSL_get1_session)
#define SSL_get_SSL_CTX (openssl()->SSL_get_SSL_CTX)
#define SSL_get_certificate (openssl()->SSL_get_certificate)
#define SSL_get_current_cipher (openssl()->SSL_get_current_cipher)
#define SSL_get_error (openssl()->SSL_get_error)
#define SSL_get_ex_data (openssl()->SSL_get_ex_data)
#define SSL_get_ex_data_X509_STORE_CTX_idx (openssl()->SSL_get_ex_data_X509_STORE_CTX_idx)
#define SSL_get_servername (openssl()->SSL_get_servername)
#define SSL_get_verify_result (openssl()->SSL_get_verify_result)
#define SSL_get_version (openssl()->SSL_get_version)
#define SSL_has_pending (openssl()->SSL_has_pending)
#define SSL_is_init_finished (openssl()->SSL_is_init_finished)
#define SSL_load_client_CA_file (openssl()->SSL_load_client_CA_file)
#define SSL_new (openssl()->SSL_new)
#define SSL_read_ex (openssl()->SSL_read_ex)
#define SSL_select_next_proto (openssl()->SSL_select_next_proto)
#define SSL_session_reused (openssl()->SSL_session_reused)
#define SSL_set_SSL_CTX (openssl()->SSL_set_SSL_CTX)
#define SSL_set_bio (openssl()->SSL_set_bio)
#define SSL_set_ex_data (openssl()->SSL_set_ex_data)
#define SSL_set_hostflags (openssl()->SSL_set_hostflags)
#define SSL_set_num_tickets (openssl()->SSL_set_num_tickets)
#define SSL_set_options (openssl()->SSL_set_options)
#define SSL_set_session (openssl()->SSL_set_session)
#define SSL_set_session_id_context (openssl()->SSL_set_session_id_context)
#define SSL_set_verify (openssl()->SSL_set_verify)
#define SSL_shutdown (openssl()->SSL_shutdown)
#define SSL_version (openssl()->SSL_version)
#define SSL_write_ex (openssl()->SSL_write_ex)
#define TLS_client_method (openssl()->TLS_client_method)
#define TLS_server_method (openssl()->TLS_server_method)
#define X509_ALGOR_get0 (openssl()->X509_ALGOR_get0)
#define X509_EXTENSION_get_critical (openssl()->X509_EXTENSION_get_critical)
#define X509_LOOKUP_ctrl (openssl()->X509_LOOKUP_ctrl)
#define X509_LOOKUP_file (openssl()->X509_LOOKUP_file)
#define X509_LOOKUP_hash_dir (openssl()->X509_LOOKUP_hash_dir)
#define X509_NAME_ENTRY_get_data (openssl()->X509_NAME_ENTRY_get_data)
#define X509_NAME_add_entry_by_txt (openssl()->X509_NAME_add_entry_by_txt)
#define X509_NAME_entry_count (openssl()->X509_NAME_entry_count)
#define X509_NAME_get_entry (openssl()->X509_NAME_get_entry)
#define X509_NAME_get_index_by_NID (openssl()->X509_NAME_get_index_by_NID)
#define X509_NAME_oneline (openssl()->X509_NAME_oneline)
#define X509_NAME_print_ex (openssl()->X509_NAME_print_ex)
#define X509_STORE_CTX_free (openssl()->X509_STORE_CTX_free)
#define X509_STORE_CTX_get0_cert (openssl()->X509_STORE_CTX_get0_cert)
#define X509_STORE_CTX_get0_chain (openssl()->X509_STORE_CTX_get0_chain)
#define X509_STORE_CTX_get0_param (openssl()->X509_STORE_CTX_get0_param)
#define X509_STORE_CTX_get0_store (openssl()->X509_STORE_CTX_get0_store)
#define X509_STORE_CTX_get0_untrusted (openssl()->X509_STORE_CTX_get0_untrusted)
#define X509_STORE_CTX_get1_chain (openssl()->X509_STORE_CTX_get1_chain)
#define X509_STORE_CTX_get_current_cert (openssl()->X509_STORE_CTX_get_current_cert)
#define X509_STORE_CTX_get_error (openssl()->X509_STORE_CTX_get_error)
#define X509_STORE_CTX_get_error_depth (openssl()->X509_STORE_CTX_get_error_depth)
#define X509_STORE_CTX_get_ex_data (openssl()->X509_STORE_CTX_get_ex_data)
#define X509_STORE_CTX_init (openssl()->X509_STORE_CTX_init)
#define X509_STORE_CTX_new (openssl()->X509_STORE_CTX_new)
#define X509_STORE_CTX_set0_verified_chain (openssl()->X509_STORE_CTX_set0_verified_chain)
#define X509_STORE_CTX_set_default (openssl()->X509_STORE_CTX_set_default)
#define X509_STORE_CTX_set_error (openssl()->X509_STORE_CTX_set_error)
#define X509_STORE_add_lookup (openssl()->X509_STORE_add_lookup)
#define X509_STORE_set_flags (openssl()->X509_STORE_set_flags)
#define X509_VERIFY_PARAM_set1 (openssl()->X509_VERIFY_PARAM_set1)
#define X509_add1_ext_i2d (openssl()->X509_add1_ext_i2d)
#define X509_check_purpose (openssl()->X509_check_purpose)
#define X509_cmp (openssl()->X509_cmp)
#define X509_free (openssl()->X509_free)
#define X509_get0_notAfter (openssl()->X509_get0_notAfter)
#define X509_get0_notBefore (openssl()->X509_get0_notBefore)
#define X509_get0_serialNumber (openssl()->X509_get0_serialNumber)
#define X509_get0_signature (openssl()->X509_get0_signature)
#define X509_get_default_cert_file (openssl()->X509_get_default_cert_file)
#define X509_get_ext (openssl()->X509_get_ext)
#define X509_get_ext_by_NID (openssl()->X509_get_ext_by_NID)
#define X509_get_ext_d2i (openssl()->X509_get_ext_d2i)
#define X509_get_issuer_name (openssl()->X509_get_issuer_name)
#define X509_get_serialNumber (openssl()->X509_get_serialNumber)
#define X509_get_subject_name (openssl()->X509_get_subject_name)
#define X509_get_version (openssl()->X509_get_version)
#define X509_getm_notAfter (openssl()->X509_getm_notAfter)
#define X509_getm_notBefore (openssl()->X509_getm_notBefore)
#define X509_gmtime_adj (openssl()->X509_gmtime_adj)
#define X509_load_crl_file (openssl()->X509_load_crl_file)
#define X509_new (openssl()->X509_new)
#define X509_set_issuer_name (openssl()->X509_set_issuer_name)
#define X509_set_pubkey (openssl()->X509_set_pubkey)
#define X509_set_version (openssl()->X509_set_version)
#define X509_sign (openssl()->X509_sign)
#define X509_up_ref (openssl()->X509_up_ref)
#define X509_verify_cert (openssl()->X509_verify_cert)
#define X509_verify_cert_error_string (openssl()->X509_verify_cert_error_string)
#define d2i_OCSP_RESPONSE (openssl()->d2i_OCSP_RESPONSE)
#define d2i_SSL_SESSION (openssl()->d2i_SSL_SESSION)
#define d2i_X509 (openssl()->d2i_X509)
#define i2a_ASN1_INTEGER (openssl()->i2a_ASN1_INTEGER)
#define i2a_ASN1_OBJECT (openssl()->i2a_ASN1_OBJECT)
#define i2d_OCSP_RESPONSE (openssl()->i2d_OCSP_RESPONSE)
#define i2d_SSL_SESSION (openssl()->i2d_SSL_SESSION)
#define i2d_X509 (openssl()->i2d_X509)
/* clang-format on */

#endif
