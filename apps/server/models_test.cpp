#include "server/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "engine/test_media.h"
#include "formats/test_files.h"
#include "server/model_facts.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

const std::string kKeeper = FOURFOLD_SOURCE_DIR "/models/keeper/keeper.gguf";

// Opens the keeper, however the models are called, and counts how often.
struct Opener {
  std::atomic<int> n_opened = 0;
  std::chrono::milliseconds time{0};
  bool fails = false;

  ModelsOptions options(std::vector<std::string> names) {
    ModelsOptions options;
    for (auto& name : names) options.models.push_back({std::move(name), kKeeper});
    options.open = [this](
                       const ModelFacts& facts,
                       const ChatServiceOptions& service) -> Result<std::unique_ptr<ChatService>> {
      n_opened += 1;
      std::this_thread::sleep_for(time);
      if (fails) return data_loss("{}: broken", facts.id);
      return ChatService::open(facts.path, service);
    };
    return options;
  }
};

std::unique_ptr<Models> find_all(ModelsOptions options) {
  std::vector<std::string> notes;
  auto models = Models::find_all(std::move(options), notes);
  EXPECT_TRUE(models.ok());
  return std::move(*models);
}

// Offered, but not of the command line: loaded on demand, unloaded when idle.
ModelsOptions on_demand(ModelsOptions options, const std::string& folder_name) {
  const auto folder = std::filesystem::path(testing::TempDir()) / folder_name;
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(kKeeper, folder / "keeper.gguf",
                             std::filesystem::copy_options::overwrite_existing);
  options.folders.push_back(folder.string());
  return options;
}

TEST(Models, LeaveOutWhatIsNoModelAndSaySoButOfProjectors) {
  const testing_files::TempFolder folder;
  std::filesystem::copy_file(kKeeper, folder.file("keeper.gguf"));
  test_media::write_projector(folder.file("mmproj-keeper.gguf"), 64);
  std::ofstream(folder.file("broken.gguf")) << "GGUF and no more";
  ModelsOptions options;
  options.folders.push_back(folder.file(""));
  std::vector<std::string> notes;
  const auto models = Models::find_all(std::move(options), notes);
  ASSERT_TRUE(models.ok()) << models.error().message;
  EXPECT_EQ((*models)->list().size(), 1u);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0], HasSubstr("left out: "));
  EXPECT_THAT(notes[0], HasSubstr("broken.gguf"));
}

TEST(ModelFacts, AreReadFromTheHeaders) {
  const auto facts = read_model_facts(kKeeper, {});
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->id, "keeper");
  EXPECT_EQ(facts->listed_name, "keeper:latest");
  EXPECT_EQ(facts->architecture, "gemma4");
  EXPECT_EQ(facts->parameter_size, "7.3M");
  EXPECT_EQ(facts->quantization, "Q8_0");
  EXPECT_EQ(facts->max_context, 4096);
  EXPECT_EQ(facts->digest.size(), 64u);
  EXPECT_TRUE(facts->capabilities.chat);
  EXPECT_TRUE(facts->capabilities.tools);
  EXPECT_FALSE(facts->capabilities.vision);
}

TEST(ModelFacts, OfATokenizerAreAnError) {
  const auto facts = read_model_facts(FOURFOLD_SOURCE_DIR "/models/keeper/tokenizer.json", {});
  ASSERT_FALSE(facts.ok());
  EXPECT_THAT(facts.error().message, HasSubstr("no model"));
}

TEST(ModelFacts, HoldTheContextThatWasAskedFor) {
  EXPECT_EQ(read_model_facts(kKeeper, {.context = 1024})->context, 1024);
  EXPECT_EQ(read_model_facts(kKeeper, {.context = 1 << 20})->context, 4096);
}

TEST(Names, AreComparedWithoutCaseAndOrnaments) {
  EXPECT_EQ(comparable_name("models/Gemma4:E4B"), "gemma4:e4b");
  EXPECT_EQ(comparable_name("models/models/keeper:latest"), "keeper");
  EXPECT_EQ(slug("Gemma 4 E4B (it)"), "gemma-4-e4b-it");
}

TEST(Models, AnswerToAllTheirNames) {
  Opener opener;
  auto options = opener.options({""});
  options.aliases = {{"gemini-2.5-flash", "keeper"}};
  const auto models = find_all(std::move(options));

  for (const auto* name : {"keeper", "KEEPER", "keeper:latest", "models/keeper", "keeper.gguf",
                           "gemini-2.5-flash", "models/Gemini-2.5-Flash:latest"}) {
    const auto facts = models->find(name);
    ASSERT_TRUE(facts) << name;
    EXPECT_EQ(facts->id, "keeper");
  }
  EXPECT_FALSE(models->find("keep"));
  EXPECT_FALSE(models->find(""));
}

TEST(Models, OfOneBodyAreToldApart) {
  Opener opener;
  const auto models = find_all(opener.options({"", "", "mine"}));
  std::vector<std::string> ids;
  for (const auto& facts : models->list()) ids.push_back(facts.id);
  EXPECT_THAT(ids, testing::ElementsAre("keeper", "keeper-q8_0", "mine"));
  EXPECT_EQ(models->find("keeper-q8_0:latest")->id, "keeper-q8_0");
}

TEST(Models, AnswerToEverythingIfTheOperatorAllowsIt) {
  Opener opener;
  auto options = opener.options({""});
  options.only_model_answers_to_all = true;
  EXPECT_EQ(find_all(std::move(options))->find("gpt-4o")->id, "keeper");
}

TEST(Models, ThatAreUnknownAreNotFound) {
  Opener opener;
  const auto models = find_all(opener.options({""}));
  const auto lease = models->acquire("nobody", {});
  ASSERT_FALSE(lease.ok());
  EXPECT_EQ(lease.error().code, Code::NotFound);
  EXPECT_EQ(lease.error().reason(), "model_not_found");
  EXPECT_EQ(lease.error().message, "model 'nobody' not found");
}

TEST(Models, OfTheCommandLineThatCannotBeReadAreAnError) {
  std::vector<std::string> notes;
  ModelsOptions options;
  options.models = {{"", "/nowhere/model.gguf"}};
  EXPECT_FALSE(Models::find_all(std::move(options), notes).ok());
}

TEST(Models, OfAFolderThatCannotBeReadAreLeftOut) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "broken_models";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "broken.gguf") << "no model";
  std::vector<std::string> notes;
  ModelsOptions options;
  options.folders = {folder.string()};
  const auto models = Models::find_all(std::move(options), notes);
  ASSERT_TRUE(models.ok());
  EXPECT_TRUE((*models)->list().empty());
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_THAT(notes[0], HasSubstr("broken.gguf"));
}

TEST(Models, AreRefusedWhileTheServerStarts) {
  Opener opener;
  const auto models = find_all(opener.options({""}));
  const auto early = models->acquire("keeper", {});
  ASSERT_FALSE(early.ok());
  EXPECT_EQ(early.error().code, Code::Unavailable);
  EXPECT_EQ(early.error().reason(), "model_loading");
  EXPECT_FALSE(models->is_ready());

  ASSERT_TRUE(models->load_first().ok());
  EXPECT_TRUE(models->is_ready());
  const auto lease = models->acquire("keeper", {});
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->load_ms(), 0.0);
  EXPECT_GT(lease->service().context(), 0);
}

TEST(Models, ThatCannotBeLoadedSayWhy) {
  Opener opener;
  opener.fails = true;
  const auto models = find_all(opener.options({""}));
  EXPECT_FALSE(models->load_first().ok());
  const auto lease = models->acquire("keeper", {});
  ASSERT_FALSE(lease.ok());
  EXPECT_EQ(lease.error().reason(), "model_load_failed");
  EXPECT_THAT(lease.error().message, HasSubstr("broken"));
}

TEST(Models, AreLoadedOnceHoweverManyAsk) {
  Opener opener;
  opener.time = 50ms;
  const auto models = find_all(on_demand(opener.options({}), "once"));
  ASSERT_TRUE(models->load_first().ok());
  EXPECT_EQ(opener.n_opened, 0);

  std::atomic<int> n_leases = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] { n_leases += models->acquire("keeper", {}).ok() ? 1 : 0; });
    }
  }
  EXPECT_EQ(n_leases, 8);
  EXPECT_EQ(opener.n_opened, 1);
}

TEST(Models, StopWaitingForALoadWhenTheClientGoes) {
  Opener opener;
  opener.time = 600ms;
  const auto models = find_all(on_demand(opener.options({}), "gone"));
  ASSERT_TRUE(models->load_first().ok());
  std::jthread loader([&] { EXPECT_TRUE(models->acquire("keeper", {}).ok()); });
  while (opener.n_opened == 0) std::this_thread::yield();

  std::stop_source gone;
  gone.request_stop();
  const auto lease = models->acquire("keeper", {.gone = gone.get_token()});
  ASSERT_FALSE(lease.ok());
  EXPECT_EQ(lease.error().code, Code::Cancelled);
}

TEST(Models, AreUnloadedWhenTheyHaveBeenIdle) {
  Opener opener;
  const auto models = find_all(on_demand(opener.options({}), "idle"));
  ASSERT_TRUE(models->load_first().ok());
  {
    const auto lease = models->acquire("keeper", {.keep_alive = 300ms});
    ASSERT_TRUE(lease.ok());
    std::this_thread::sleep_for(400ms);
    EXPECT_EQ(models->loaded().size(), 1u);  // at work
  }
  ASSERT_EQ(models->loaded().size(), 1u);
  EXPECT_TRUE(models->loaded()[0].expires_s);
  for (int i = 0; i < 1000 && !models->loaded().empty(); ++i) std::this_thread::sleep_for(5ms);
  EXPECT_TRUE(models->loaded().empty());
  EXPECT_TRUE(models->acquire("keeper", {}).ok());
  EXPECT_EQ(opener.n_opened, 2);
}

TEST(Models, OfTheCommandLineStayUnlessARequestSaysZero) {
  Opener opener;
  auto options = opener.options({""});
  options.keep_alive = 1ms;
  const auto models = find_all(std::move(options));
  ASSERT_TRUE(models->load_first().ok());
  ASSERT_TRUE(models->acquire("keeper", {.keep_alive = 1ms}).ok());
  std::this_thread::sleep_for(30ms);
  ASSERT_EQ(models->loaded().size(), 1u);
  EXPECT_FALSE(models->loaded()[0].expires_s);

  ASSERT_TRUE(models->acquire("keeper", {.keep_alive = KeepAlive::zero()}).ok());
  EXPECT_TRUE(models->loaded().empty());
  EXPECT_TRUE(models->acquire("keeper", {}).ok());
}

TEST(Models, AreUnloadedOnRequestOnceTheyAreIdle) {
  Opener opener;
  const auto models = find_all(opener.options({""}));
  ASSERT_TRUE(models->load_first().ok());
  {
    const auto lease = models->acquire("keeper", {});
    ASSERT_TRUE(lease.ok());
    ASSERT_TRUE(models->unload("keeper").ok());
    EXPECT_EQ(models->loaded().size(), 1u);
  }
  EXPECT_TRUE(models->loaded().empty());
  EXPECT_EQ(models->unload("nobody").error().code, Code::NotFound);
}

TEST(Models, MakeRoomForEachOther) {
  const auto facts = read_model_facts(kKeeper, {});
  ASSERT_TRUE(facts.ok());
  Opener opener;
  auto options = on_demand(opener.options({}), "room_a");
  options = on_demand(std::move(options), "room_b");
  // Room for one and a half.
  options.service.engine.memory_bytes = facts->least_bytes * 3 / 2;
  options.open = [&](const ModelFacts& model, const ChatServiceOptions&) {
    return ChatService::open(model.path, {});
  };
  const auto models = find_all(std::move(options));
  ASSERT_TRUE(models->load_first().ok());
  ASSERT_EQ(models->list().size(), 2u);
  const std::string a = models->list()[0].id, b = models->list()[1].id;

  auto first = models->acquire(a, {});
  ASSERT_TRUE(first.ok());
  const auto refused = models->acquire(b, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::Unavailable);
  EXPECT_EQ(refused.error().reason(), "no_memory");
  EXPECT_THAT(refused.error().message, HasSubstr("MiB"));

  { const ModelLease ends = std::move(*first); }
  EXPECT_TRUE(models->acquire(b, {}).ok());
  ASSERT_EQ(models->loaded().size(), 1u);
  EXPECT_EQ(models->loaded()[0].facts.id, b);
}

TEST(MadeModels, AreRememberedOverARestart) {
  Opener opener;
  auto options = opener.options({""});
  options.made_models_file = testing::TempDir() + "made/models.json";
  std::filesystem::remove(options.made_models_file);
  ModelFacts settings;
  settings.system = "You are a pirate.";
  settings.parameters.temperature = 0.25f;
  settings.parameters.stop = {"Arr"};
  settings.messages = {Message::of(Role::User, "Who?"), Message::of(Role::Model, "Me.")};
  {
    const auto models = find_all(options);
    ASSERT_TRUE(models->make("Pirate", "keeper", settings).ok());
    ASSERT_TRUE(models->copy("pirate", "corsair:v2").ok());
  }
  const auto models = find_all(options);
  const auto pirate = models->find("pirate:latest");
  ASSERT_TRUE(pirate);
  EXPECT_EQ(pirate->system, "You are a pirate.");
  EXPECT_EQ(pirate->parameters.temperature, 0.25f);
  EXPECT_THAT(pirate->parameters.stop, testing::ElementsAre("Arr"));
  ASSERT_EQ(pirate->messages.size(), 2u);
  EXPECT_EQ(pirate->messages[1].role, Role::Model);
  EXPECT_EQ(pirate->path, kKeeper);
  EXPECT_EQ(models->find("corsair:v2")->system, "You are a pirate.");
  EXPECT_EQ(models->find("corsair:v2")->listed_name, "corsair:v2");

  ASSERT_TRUE(models->remove("pirate").ok());
  EXPECT_FALSE(models->find("pirate"));
  EXPECT_FALSE(find_all(options)->find("pirate"));
}

TEST(MadeModels, CanBeMadeFromAFile) {
  Opener opener;
  auto options = opener.options({""});
  options.made_models_file = testing::TempDir() + "made/from_file.json";
  std::filesystem::remove(options.made_models_file);
  const auto copy = testing::TempDir() + "sha256-sent";  // a name that no folder would offer
  std::filesystem::copy_file(kKeeper, copy, std::filesystem::copy_options::overwrite_existing);
  {
    const auto models = find_all(options);
    ASSERT_TRUE(models->make("sent", copy, {}).ok());
    EXPECT_FALSE(models->make("other", "/nowhere", {}).ok());
  }
  const auto models = find_all(options);
  const auto sent = models->find("sent");
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->path, copy);
  ASSERT_TRUE(models->acquire("sent", {}).ok());
  ASSERT_EQ(models->loaded().size(), 1u);
  EXPECT_EQ(models->loaded()[0].facts.id, "sent");
}

TEST(MadeModels, CanBeMadeAnewButReplaceNoFile) {
  Opener opener;
  const auto models = find_all(opener.options({""}));
  ModelFacts settings;
  ASSERT_TRUE(models->make("pirate", "keeper", settings).ok());
  settings.system = "Arr.";
  ASSERT_TRUE(models->make("pirate", "pirate", settings).ok());
  EXPECT_EQ(models->find("pirate")->system, "Arr.");
  EXPECT_EQ(models->list().size(), 2u);

  EXPECT_FALSE(models->make("keeper", "pirate", settings).ok());
  EXPECT_FALSE(models->make("x", "nobody", settings).ok());
  EXPECT_EQ(models->copy("nobody", "x").error().code, Code::NotFound);
  EXPECT_EQ(models->remove("nobody").error().code, Code::NotFound);
  EXPECT_EQ(models->remove("keeper").error().code, Code::FailedPrecondition);
}

}  // namespace
}  // namespace fourfold
