#pragma once
// Parts of replies that several APIs' forms share. Internal to server.

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "chat/chat_model.h"
#include "net/json_text.h"

namespace bantam::server {

/// {prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details} as OpenAI's completions have them.
nlohmann::json usage_json(const chat::Usage& usage);
/// The usage of all replies together: each was a call of its own.
chat::Usage total_usage(std::span<const chat::Reply> replies);

/// The same, written.
void write_usage(net::JsonText& out, const chat::Usage& usage);

/// Who answered, how sure, for how much: the part of a reply that no other API has. For several replies
/// {"cost": of all, "answers": one for each}.
void write_bantam(net::JsonText& out, std::span<const chat::Reply> replies);
/// The same as a value.
nlohmann::json bantam_json(std::span<const chat::Reply> replies);
/// A verdict of a team within a stream.
nlohmann::json verdict_json(const chat::Verdict& verdict);

/// One token with its alternatives: {token, logprob, bytes, top_logprobs}.
nlohmann::json logprob_json(const chat::TokenLogprob& token);
nlohmann::json logprobs_json(const std::vector<chat::TokenLogprob>& tokens);

/// "bantam-1.2.3"
const std::string& fingerprint();

}  // namespace bantam::server
