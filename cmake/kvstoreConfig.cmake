# find_package(kvstore): kvstore::abi (the C headers), kvstore::sdk (the C++ helpers) and
# kvs_add_plugin().  <kvstore/sdk/options.hpp> needs nlohmann_json besides, which is the user's to find.
# find_package(kvstore COMPONENTS client): also kvstore::client, the C++ client library, which is linked
# with Poco.
include(${CMAKE_CURRENT_LIST_DIR}/kvstoreTargets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/KvsAddPlugin.cmake)
foreach(kvstore_component ${kvstore_FIND_COMPONENTS})
  if(NOT kvstore_component STREQUAL client)
    set(kvstore_FOUND FALSE)
    set(kvstore_NOT_FOUND_MESSAGE "no component ${kvstore_component}: there is client")
  endif()
endforeach()
if("client" IN_LIST kvstore_FIND_COMPONENTS)
  include(CMakeFindDependencyMacro)
  find_dependency(Threads)
  find_dependency(Poco COMPONENTS Foundation Net)
  include(${CMAKE_CURRENT_LIST_DIR}/kvstoreClientTargets.cmake)
  set(kvstore_client_FOUND TRUE)
endif()
