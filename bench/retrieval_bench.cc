// Retrieval quality of sentence vectors: nDCG@10 on test collections, beside BM25 (SQLite's FTS5) and a
// fusion of both, in one run, with bootstrap intervals over the queries.
//   retrieval_bench --model base-embed.gguf --cranfield FOLDER --vaswani FOLDER [--static FOLDER]
#include <fmt/format.h>
#include <sqlite3.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/rng.h"
#include "base/usage.h"
#include "formats/documents.h"
#include "formats/safetensors.h"
#include "runtime/engine.h"
#include "text/tokenizer.h"

namespace {

using namespace bantam;

struct Collection {
  std::string name;
  std::vector<std::string> ids, texts;
  std::vector<std::pair<std::string, std::string>> queries;    // id, text
  std::map<std::string, std::map<std::string, double>> gains;  // query -> document -> gain
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

/// Cranfield (Cleverdon 1967): fields .I .T .A .B .W; grades 1 (and -1) are best, 4 is least.
Result<Collection> read_cranfield(const std::string& folder) {
  Collection out{"cranfield", {}, {}, {}, {}};
  BANTAM_ASSIGN(const std::string documents, read_file(folder + "/cran.all.1400"));
  char field = 0;
  for (const std::string& line : lines_of(documents)) {
    if (line.size() >= 2 && line[0] == '.' && line[1] >= 'A' && line[1] <= 'Z') {
      field = line[1];
      if (field == 'I') {
        out.ids.push_back(line.substr(3));
        out.texts.emplace_back();
      }
    } else if ((field == 'T' || field == 'W') && !out.texts.empty()) {
      // The abstract begins with the title again: it is taken once.
      std::string& text = out.texts.back();
      if (field == 'W' || text.empty()) text += line + (field == 'W' ? " " : "");
      if (field == 'T') text.clear();
    }
  }
  BANTAM_ASSIGN(const std::string queries, read_file(folder + "/queries.jsonl"));
  for (const std::string& line : lines_of(queries)) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (!entry.is_object()) return fail(Code::kCorrupt, "{}/queries.jsonl: found no JSON object", folder);
    out.queries.emplace_back(std::to_string(entry["qid"].get<int>()), entry["text"].get<std::string>());
  }
  BANTAM_ASSIGN(const std::string judged, read_file(folder + "/cranqrel"));
  for (const std::string& line : lines_of(judged)) {
    int query = 0, document = 0, grade = 0;
    if (std::sscanf(line.c_str(), "%d %d %d", &query, &document, &grade) != 3) continue;
    out.gains[std::to_string(query)][std::to_string(document)] = grade < 1 ? 4 : std::max(0, 5 - grade);
  }
  return out;
}

/// TREC's forms, as the Vaswani (NPL) collection has them.
Result<Collection> read_vaswani(const std::string& folder) {
  Collection out{"vaswani", {}, {}, {}, {}};
  BANTAM_ASSIGN(auto reader, formats::DocumentReader::open(folder + "/doc-text.trec.xz"));
  std::string all;
  BANTAM_ASSIGN(const bool any, reader.next(all));
  if (!any) return fail(Code::kCorrupt, "{}/doc-text.trec.xz: found nothing", folder);
  for (const std::string& line : lines_of(all)) {
    if (line.starts_with("<DOCNO>")) {
      out.ids.push_back(line.substr(7, line.find('<', 7) - 7));
      out.texts.emplace_back();
    } else if (!line.starts_with("<") && !out.texts.empty()) {
      out.texts.back() += line + " ";
    }
  }
  BANTAM_ASSIGN(const std::string queries, read_file(folder + "/query-text.trec"));
  std::string id;
  for (const std::string& line : lines_of(queries)) {
    if (line.starts_with("<num>")) {
      id = line.substr(5, line.find('<', 5) - 5);
    } else if (!line.starts_with("<") && !line.empty() && !id.empty()) {
      std::string text = line;
      for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      out.queries.emplace_back(id, text);
      id.clear();
    }
  }
  BANTAM_ASSIGN(const std::string judged, read_file(folder + "/qrels"));
  for (const std::string& line : lines_of(judged)) {
    int query = 0, zero = 0, document = 0, grade = 0;
    if (std::sscanf(line.c_str(), "%d %d %d %d", &query, &zero, &document, &grade) == 4)
      out.gains[std::to_string(query)][std::to_string(document)] = grade;
  }
  return out;
}

using Ranking = std::vector<size_t>;  // documents, best first

double ndcg(const Collection& c, const std::string& query, const Ranking& ranking, size_t at) {
  const auto judged = c.gains.find(query);
  if (judged == c.gains.end()) return -1;
  std::vector<double> ideal;
  for (const auto& [id, gain] : judged->second) ideal.push_back(gain);
  std::ranges::sort(ideal, std::greater());
  double best = 0, sum = 0;
  for (size_t i = 0; i < std::min(at, ideal.size()); ++i) best += ideal[i] / std::log2(i + 2.0);
  for (size_t i = 0; i < std::min(at, ranking.size()); ++i) {
    const auto found = judged->second.find(c.ids[ranking[i]]);
    if (found != judged->second.end()) sum += found->second / std::log2(i + 2.0);
  }
  return best > 0 ? sum / best : -1;
}

/// BM25 (Robertson and Zaragoza 2009) as FTS5 computes it, over stems.
class Bm25 {
 public:
  explicit Bm25(const Collection& c) {
    sqlite3_open(":memory:", &db_);
    run("CREATE VIRTUAL TABLE d USING fts5(t, tokenize = 'porter unicode61')");
    run("BEGIN");
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(db_, "INSERT INTO d(rowid, t) VALUES(?, ?)", -1, &insert, nullptr);
    for (size_t i = 0; i < c.texts.size(); ++i) {
      sqlite3_bind_int64(insert, 1, static_cast<int64_t>(i) + 1);
      sqlite3_bind_text(insert, 2, c.texts[i].c_str(), -1, SQLITE_STATIC);
      sqlite3_step(insert);
      sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    run("COMMIT");
  }
  ~Bm25() { sqlite3_close(db_); }
  Bm25(const Bm25&) = delete;
  Bm25& operator=(const Bm25&) = delete;

  Ranking rank(const std::string& query, size_t most) const {
    std::set<std::string> words;
    std::string word;
    for (const char c : query + " ") {
      if (std::isalnum(static_cast<unsigned char>(c))) {
        word += c;
      } else if (!word.empty()) {
        words.insert('"' + std::exchange(word, {}) + '"');
      }
    }
    const std::string match = fmt::format("{}", fmt::join(words, " OR "));
    sqlite3_stmt* select = nullptr;
    sqlite3_prepare_v2(db_, "SELECT rowid FROM d WHERE d MATCH ? ORDER BY bm25(d) LIMIT ?", -1, &select,
                       nullptr);
    sqlite3_bind_text(select, 1, match.c_str(), -1, SQLITE_STATIC);
    sqlite3_bind_int64(select, 2, static_cast<int64_t>(most));
    Ranking out;
    while (sqlite3_step(select) == SQLITE_ROW)
      out.push_back(static_cast<size_t>(sqlite3_column_int64(select, 0)) - 1);
    sqlite3_finalize(select);
    return out;
  }

 private:
  void run(const char* sql) { sqlite3_exec(db_, sql, nullptr, nullptr, nullptr); }
  sqlite3* db_ = nullptr;
};

using Embed = std::function<Result<std::vector<float>>(const std::string&)>;

Result<Ranking> nearest(const std::vector<std::vector<float>>& vectors, const std::vector<float>& query,
                        size_t most) {
  std::vector<std::pair<float, size_t>> scored;
  for (size_t i = 0; i < vectors.size(); ++i) {
    float sum = 0;
    for (size_t k = 0; k < query.size(); ++k) sum += query[k] * vectors[i][k];
    scored.emplace_back(-sum, i);
  }
  most = std::min(most, scored.size());
  std::ranges::partial_sort(scored, scored.begin() + static_cast<std::ptrdiff_t>(most));
  Ranking out;
  for (size_t i = 0; i < most; ++i) out.push_back(scored[i].second);
  return out;
}

/// Reciprocal rank fusion (Cormack et al. 2009).
Ranking fuse(const Ranking& a, const Ranking& b) {
  std::map<size_t, double> score;
  for (const Ranking* r : {&a, &b}) {
    for (size_t i = 0; i < r->size(); ++i) score[(*r)[i]] += 1.0 / (60.0 + static_cast<double>(i));
  }
  std::vector<std::pair<double, size_t>> order;
  for (const auto& [document, sum] : score) order.emplace_back(-sum, document);
  std::ranges::sort(order);
  Ranking out;
  for (const auto& [sum, document] : order) out.push_back(document);
  return out;
}

struct Interval {
  double mean, low, high;
};
Interval bootstrap(const std::vector<double>& values) {
  Rng rng(7);
  const auto mean_of = [&](const auto& pick) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += values[pick(i)];
    return sum / static_cast<double>(values.size());
  };
  std::vector<double> means(2000);
  for (double& mean : means) mean = mean_of([&](size_t) { return rng.below(values.size()); });
  std::ranges::sort(means);
  return {mean_of([](size_t i) { return i; }), means[50], means[1949]};
}

/// A model of one vector a word (Model2Vec's files): rows by token, weighted, averaged.
class StaticEmbedder {
 public:
  static Result<StaticEmbedder> open(const std::string& folder) {
    BANTAM_ASSIGN(auto file, formats::SafeTensorsFile::open(folder + "/model.safetensors"));
    BANTAM_ASSIGN(const std::string vocabulary, read_file(folder + "/tokenizer.json"));
    const auto json = nlohmann::json::parse(vocabulary, nullptr, false);
    StaticEmbedder out;
    for (const auto& [token, id] : json.at("model").at("vocab").items()) out.ids_[token] = id.get<size_t>();
    const auto* rows = file.find("embeddings");
    const auto* weights = file.find("weights");
    const auto* mapping = file.find("mapping");
    if (rows == nullptr || weights == nullptr || mapping == nullptr)
      return fail(Code::kCorrupt, "{}: found no embeddings, weights and mapping", folder);
    const auto copy = [](const auto* tensor, auto& into) {
      into.resize(tensor->data.size() / sizeof(into[0]));
      std::memcpy(into.data(), tensor->data.data(), into.size() * sizeof(into[0]));
    };
    copy(rows, out.rows_);
    copy(weights, out.weights_);
    copy(mapping, out.mapping_);
    out.width_ = rows->shape[1];
    return out;
  }
  /// WordPiece over lower-cased words and single marks, as in BERT's uncased vocabulary (ASCII texts).
  std::vector<float> embed(const std::string& text) const {
    std::vector<float> out(width_);
    const auto add = [&](size_t id) {
      const auto weight = static_cast<float>(weights_[id]);
      for (size_t k = 0; k < width_; ++k)
        out[k] += weight * rows_[static_cast<size_t>(mapping_[id]) * width_ + k];
    };
    std::string word;
    const auto flush = [&] {
      for (size_t at = 0; at < word.size();) {
        size_t end = word.size();
        for (; end > at; --end) {
          const auto found = ids_.find((at > 0 ? "##" : "") + word.substr(at, end - at));
          if (found == ids_.end()) continue;
          add(found->second);
          break;
        }
        if (end == at) break;  // an unknown word
        at = end;
      }
      word.clear();
    };
    for (const char c : text + " ") {
      if (std::isalnum(static_cast<unsigned char>(c))) {
        word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        continue;
      }
      flush();
      if (std::ispunct(static_cast<unsigned char>(c))) {
        word = c;
        flush();
      }
    }
    float norm = 0;
    for (const float x : out) norm += x * x;
    for (float& x : out) x /= std::max(1e-9F, std::sqrt(norm));
    return out;
  }

 private:
  std::map<std::string, size_t> ids_;
  std::vector<float> rows_;
  std::vector<double> weights_;
  std::vector<int32_t> mapping_;
  size_t width_ = 0;
};

struct Row {
  std::string name;
  std::vector<double> values;
};

Status measure(const Collection& c, const std::vector<std::pair<std::string, Embed>>& systems) {
  constexpr size_t kDepth = 200;
  Bm25 lexical(c);
  std::vector<Row> rows{{"BM25", {}}};
  std::vector<Ranking> by_words;
  for (const auto& [id, text] : c.queries) by_words.push_back(lexical.rank(text, kDepth));
  const auto note = [&](Row& row, size_t q, const Ranking& ranking) {
    if (const double value = ndcg(c, c.queries[q].first, ranking, 10); value >= 0)
      row.values.push_back(value);
  };
  for (size_t q = 0; q < c.queries.size(); ++q) note(rows[0], q, by_words[q]);
  for (const auto& [name, embed] : systems) {
    const double start = wall_seconds();
    std::vector<std::vector<float>> vectors;
    for (const auto& text : c.texts) {
      BANTAM_ASSIGN(auto vector, embed(text));
      vectors.push_back(std::move(vector));
    }
    Row alone{fmt::format("{} ({:.2f} ms a text)", name,
                          1e3 * (wall_seconds() - start) / static_cast<double>(c.texts.size())),
              {}},
        both{fmt::format("{} + BM25", name), {}};
    for (size_t q = 0; q < c.queries.size(); ++q) {
      BANTAM_ASSIGN(const auto vector, embed(c.queries[q].second));
      BANTAM_ASSIGN(const Ranking ranking, nearest(vectors, vector, kDepth));
      note(alone, q, ranking);
      note(both, q, fuse(ranking, by_words[q]));
    }
    rows.push_back(std::move(alone));
    rows.push_back(std::move(both));
  }
  fmt::print("{}: {} documents, {} queries, nDCG@10 (95 % interval)\n", c.name, c.texts.size(),
             rows[0].values.size());
  for (const Row& row : rows) {
    const Interval i = bootstrap(row.values);
    fmt::print("  {:<60} {:.4f} ({:.4f} to {:.4f})\n", row.name, i.mean, i.low, i.high);
  }
  return {};
}

Status run(const std::vector<std::string>& models, const std::string& fixed, const std::string& cranfield,
           const std::string& vaswani) {
  std::vector<std::pair<std::string, Embed>> systems;
  for (const std::string& path : models) {
    BANTAM_ASSIGN(auto engine, runtime::Engine::load(path));
    BANTAM_ASSIGN(std::shared_ptr<runtime::Session> session, engine->new_session());
    systems.emplace_back(path, [engine, session](const std::string& text) -> Result<std::vector<float>> {
      BANTAM_ASSIGN(auto tokens, engine->tokenizer().encode(text));
      return session->embed(tokens);
    });
  }
  if (!fixed.empty()) {
    BANTAM_ASSIGN(auto embedder, StaticEmbedder::open(fixed));
    systems.emplace_back(
        "static embedder",
        [embedder](const std::string& text) -> Result<std::vector<float>> { return embedder.embed(text); });
  }
  if (!cranfield.empty()) {
    BANTAM_ASSIGN(const Collection c, read_cranfield(cranfield));
    BANTAM_TRY(measure(c, systems));
  }
  if (!vaswani.empty()) {
    BANTAM_ASSIGN(const Collection c, read_vaswani(vaswani));
    BANTAM_TRY(measure(c, systems));
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> models;
  std::string fixed, cranfield, vaswani;
  CLI::App app{"Retrieval quality of sentence vectors beside BM25"};
  app.add_option("--model", models, "Embedding models (.gguf)")->type_name("FILE");
  app.add_option("--static", fixed, "A static embedder (model.safetensors, tokenizer.json)")
      ->type_name("FOLDER");
  app.add_option("--cranfield", cranfield, "Cranfield: cran.all.1400, queries.jsonl, cranqrel")
      ->type_name("FOLDER");
  app.add_option("--vaswani", vaswani, "Vaswani: doc-text.trec.xz, query-text.trec, qrels")
      ->type_name("FOLDER");
  CLI11_PARSE(app, argc, argv);
  if (auto done = run(models, fixed, cranfield, vaswani); !done) {
    fmt::print(stderr, "retrieval_bench: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
