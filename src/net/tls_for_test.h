#pragma once
// A certificate of our own making for tests, as files.

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "net/http.h"

namespace bantam::net {

/// Self-signed, for `names` ("DNS:localhost,IP:127.0.0.1"), good for an hour; the files go with the object.
class TestCertificate {
 public:
  explicit TestCertificate(const char* names = "DNS:localhost")
      : base_((std::filesystem::temp_directory_path() / random_id("bantam_cert_")).string()) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME* name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1,
                               -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names);
    X509_add_ext(cert, extension, -1);
    X509_sign(cert, key, EVP_sha256());
    std::FILE* f = std::fopen(certificate().c_str(), "w");
    EXPECT_EQ(PEM_write_X509(f, cert), 1);
    std::fclose(f);
    f = std::fopen(private_key().c_str(), "w");
    EXPECT_EQ(PEM_write_PrivateKey(f, key, nullptr, nullptr, 0, nullptr, nullptr), 1);
    std::fclose(f);
    X509_EXTENSION_free(extension);
    X509_free(cert);
    EVP_PKEY_free(key);
  }
  ~TestCertificate() {
    std::filesystem::remove(certificate());
    std::filesystem::remove(private_key());
  }
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  std::string certificate() const { return base_ + ".pem"; }
  std::string private_key() const { return base_ + ".key"; }

 private:
  std::string base_;
};

}  // namespace bantam::net
